/** The object store in a folder of the local file system. */

import { randomUUID } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { copyFile, link, mkdir, open, opendir, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import PQueue from 'p-queue'
import { Failure, messageOf } from '../../image/errors.ts'
import {
  type ByteRange,
  checkedStorageKey,
  type LocalFile,
  type ObjectStore,
  type PieceReader,
  type PutOptions,
  type StagingFolder,
} from '../../storage/ports.ts'
import { DirectorySyncs } from './directory-syncs.ts'
import { readPieces } from './read-pieces.ts'

/**
 * Temporary files live below the storage folder, so that naming them for good is a rename; each
 * instance has a folder of its own there. No key begins with a dot.
 */
const stagingName = '.staging'

/** Bytes a read of a served object takes at once: fewer, larger reads serve large blobs faster. */
const readSize = 1024 * 1024

export class FilesystemStore implements ObjectStore, PieceReader, StagingFolder {
  readonly stagingFolder: string
  readonly #root: string
  readonly #folderSyncs = new DirectorySyncs()

  private constructor(root: string, instance: string) {
    this.#root = resolve(root)
    this.stagingFolder = join(this.#root, stagingName, instance)
  }

  /**
   * Makes the folder if it is missing, and forgets what a crash of this instance left half written.
   * @param instance one of those that share the folder; each uses its own name
   * @throws Failure unavailable
   */
  static async open(root: string, instance = 'only'): Promise<FilesystemStore> {
    const store = new FilesystemStore(root, instance)
    await guarded(root, async () => {
      await rm(store.stagingFolder, { recursive: true, force: true })
      await mkdir(store.stagingFolder, { recursive: true, mode: 0o750 })
    })
    return store
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    return guarded(key, async () => {
      const found = await absentAsUndefined(stat(this.#path(key)))
      return found?.isFile() ? { size: found.size } : undefined
    })
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    return guarded(key, async () => {
      // Opened before the stream is handed out: what is read is then this object to its end, even if
      // another one takes its name meanwhile.
      const file = await absentAsUndefined(open(this.#path(key), constants.O_RDONLY))
      if (file === undefined) return undefined
      const found = await file.stat()
      if (!found.isFile()) {
        await file.close()
        return undefined
      }
      // A small object must not cost a large buffer.
      const highWaterMark = Math.min(readSize, Math.max(found.size, 1))
      return createReadStream('', { ...range, fd: file, highWaterMark })
    })
  }

  async readPieces(
    key: string,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    const file = await guarded(key, () =>
      absentAsUndefined(open(this.#path(key), constants.O_RDONLY)),
    )
    if (file === undefined) return false
    try {
      await readPieces(file, range, take)
      return true
    } finally {
      await file.close()
    }
  }

  async put(
    key: string,
    content: Uint8Array | LocalFile,
    options: PutOptions = {},
  ): Promise<'stored' | 'exists'> {
    const target = this.#path(key)
    const isFile = 'path' in content
    // What is packed into the staging folder is there already.
    const isStaged = isFile && dirname(content.path) === this.stagingFolder
    const staged = isStaged ? content.path : join(this.stagingFolder, randomUUID())
    return guarded(key, async () => {
      let isLeft = true
      try {
        await stage(content, staged)
        const outcome = await this.#inFolder(dirname(target), () =>
          name(staged, target, options.ifAbsent === true),
        )
        isLeft = options.ifAbsent === true
        if (outcome === 'stored') await this.#folderSyncs.sync(dirname(target))
        return outcome
      } finally {
        if (isLeft) await absentAsUndefined(unlink(staged))
        // Consumed however it ends: a layer that could not be stored must not fill the disk.
        if (isFile && !isStaged) await absentAsUndefined(unlink(content.path))
      }
    })
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    // Below a plain file there is nothing to delete.
    await guarded(key, () => absentAsUndefined(unlink(path)))
  }

  async *list(prefix: string): AsyncIterable<string> {
    if (prefix !== '') this.#path(prefix.replace(/\/$/, ''))
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const found = await guarded(prefix, () =>
      absentAsUndefined(opendir(join(this.#root, folder), { recursive: true })),
    )
    if (found === undefined) return
    const entries = found[Symbol.asyncIterator]()
    for (;;) {
      const { value: entry, done } = await guarded(prefix, () => entries.next())
      if (done) return
      const key = join(entry.parentPath, entry.name).slice(this.#root.length + 1)
      if (entry.isFile() && key.startsWith(prefix) && !isStaging(key)) yield key
    }
  }

  outage(): undefined {
    return undefined
  }

  /** Does something in a folder, which is made when it turns out to be missing. */
  async #inFolder<T>(folder: string, act: () => Promise<T>): Promise<T> {
    const done = await absentAsUndefined(act())
    if (done !== undefined) return done
    await mkdir(folder, { recursive: true })
    this.#folderSyncs.forget(folder)
    // Its own name, and those of the folders above, whoever of several at once has made them.
    for (let made = folder; made !== this.#root; ) {
      made = dirname(made)
      await this.#folderSyncs.sync(made)
    }
    return act()
  }

  #path(key: string): string {
    return join(this.#root, checkedStorageKey(key))
  }
}

function isStaging(key: string): boolean {
  return key === stagingName || key.startsWith(`${stagingName}/`)
}

/**
 * Bytes from which writing a file to disk takes long. Of these only some are written at a time: Node has
 * four threads for files, and those who fetch blobs need them, too.
 */
const largeFile = 1024 * 1024
const largeSyncs = new PQueue({ concurrency: 2 })

/** Bytes that Node writes at once. Written so that the call returns when they are on disk, they need no fsync. */
const oneWrite = 512 * 1024
const newOnDisk = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC

/** Has the content in a temporary file, and that on disk. */
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

/** Gives a synced file its final name. With `ifAbsent` the old name stays, too. */
async function name(
  staged: string,
  target: string,
  ifAbsent: boolean,
): Promise<'stored' | 'exists'> {
  if (!ifAbsent) {
    await rename(staged, target)
    return 'stored'
  }
  try {
    // link fails when the name is taken, where rename would replace it.
    await link(staged, target)
    return 'stored'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return 'exists'
    throw error
  }
}

async function absentAsUndefined<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** File system errors are nobody's mistake who pulls: they reach clients as "try again". */
async function guarded<T>(subject: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined || error instanceof TypeError)
      throw error
    throw new Failure(
      'unavailable',
      `the storage cannot be used (${subject}): ${messageOf(error)}`,
      {
        retryAfter: 30,
        cause: error,
      },
    )
  }
}
