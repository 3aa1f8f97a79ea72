/** Writes files that are complete and on disk when they become visible: staging file, fsync, rename. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import PQueue from 'p-queue'
import type { LocalFile } from '../../storage/ports.ts'
import { DirectorySyncs } from './directory-syncs.ts'
import { undefinedIfMissing } from './file-access.ts'

/**
 * Size in bytes from which the fsync of a file takes long. Only two of these run at a time: Node has four
 * threads for files, and clients that fetch blobs need them, too.
 */
const largeFile = 1024 * 1024
const largeSyncs = new PQueue({ concurrency: 2 })

/** Bytes that Node writes in one call. With O_SYNC, such a call returns when the bytes are on disk. */
const oneWrite = 512 * 1024
const newOnDisk = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC

export class DurableWrites {
  readonly #root: string
  readonly #stagingFolder: string
  readonly #directorySyncs = new DirectorySyncs()

  /** @param stagingFolder a folder below the root, so that a rename can make a file visible */
  constructor(root: string, stagingFolder: string) {
    this.#root = root
    this.#stagingFolder = stagingFolder
  }

  /**
   * Writes a file below the root. Consumes a LocalFile, even when writing fails.
   * @param ifAbsent keeps an existing file
   * @returns `exists` only with `ifAbsent`
   */
  async write(
    target: string,
    content: Uint8Array | LocalFile,
    ifAbsent: boolean,
  ): Promise<'stored' | 'exists'> {
    const isFile = 'path' in content
    const isStaged = isFile && dirname(content.path) === this.#stagingFolder
    const staged = isStaged ? content.path : join(this.#stagingFolder, randomUUID())
    let isLeft = true
    try {
      await stage(content, staged)
      const outcome = await this.#inFolder(dirname(target), () => publish(staged, target, ifAbsent))
      isLeft = ifAbsent
      if (outcome === 'stored') await this.#directorySyncs.sync(dirname(target))
      return outcome
    } finally {
      if (isLeft) await undefinedIfMissing(unlink(staged))
      // Deleted even after a failure: a layer that could not be stored must not fill the disk.
      if (isFile && !isStaged) await undefinedIfMissing(unlink(content.path))
    }
  }

  /** Runs an operation in a folder. Creates the folder if it turns out to be missing. */
  async #inFolder<T>(folder: string, operation: () => Promise<T>): Promise<T> {
    const result = await undefinedIfMissing(operation())
    if (result !== undefined) return result
    await mkdir(folder, { recursive: true })
    this.#directorySyncs.forget(folder)
    // Syncs the names of the folder and of all folders above it. A concurrent write may have created them.
    for (let created = folder; created !== this.#root; ) {
      created = dirname(created)
      await this.#directorySyncs.sync(created)
    }
    return operation()
  }
}

/** Writes the content to the staging file, and waits until it is on disk. */
async function stage(content: Uint8Array | LocalFile, staged: string): Promise<void> {
  if ('path' in content) {
    if (content.path !== staged) await move(content.path, staged)
    if (content.size < largeFile) await syncFile(staged)
    else await largeSyncs.add(() => syncFile(staged))
    return
  }
  const isOneWrite = content.length > 0 && content.length <= oneWrite
  const file = await open(staged, isOneWrite ? newOnDisk : 'wx')
  try {
    await file.writeFile(content)
    if (!isOneWrite) await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EXDEV') throw error
    await copyFile(from, to)
  })
}

/** Gives a staged file its final name. With `ifAbsent`, the staged name stays, too. */
async function publish(
  staged: string,
  target: string,
  ifAbsent: boolean,
): Promise<'stored' | 'exists'> {
  if (!ifAbsent) {
    await rename(staged, target)
    return 'stored'
  }
  try {
    // link fails if the name exists, where rename would replace the file.
    await link(staged, target)
    return 'stored'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return 'exists'
    throw error
  }
}
