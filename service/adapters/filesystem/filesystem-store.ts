/** The object store in a folder of the local file system. */

import { constants, createReadStream } from 'node:fs'
import { mkdir, open, opendir, rm, stat, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { Failure, messageOf } from '../../image/errors.ts'
import type {
  ByteRange,
  LocalFile,
  ObjectStore,
  PieceReader,
  PutOptions,
  StagingFolder,
} from '../../storage/ports.ts'
import { checkedStorageKey } from '../../storage/storage-key.ts'
import { DurableWrites } from './durable-writes.ts'
import { undefinedIfMissing } from './file-access.ts'
import { readPieces } from './read-pieces.ts'

/** Folder below the storage folder with a staging folder for each instance. No key begins with a dot. */
const stagingName = '.staging'

/** Bytes of one read of a streamed object. Fewer, larger reads serve large blobs faster. */
const readSize = 1024 * 1024
/** Seconds after which a failing file system may work again. */
const retryAfter = 30

export class FilesystemStore implements ObjectStore, PieceReader, StagingFolder {
  readonly stagingFolder: string
  readonly #root: string
  readonly #writes: DurableWrites

  private constructor(root: string, instance: string) {
    this.#root = resolve(root)
    this.stagingFolder = join(this.#root, stagingName, instance)
    this.#writes = new DurableWrites(this.#root, this.stagingFolder)
  }

  /**
   * Creates a missing folder, and deletes the staged files that a crash of this instance left behind.
   * @param instance a name that no other instance with the same folder uses
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
      const found = await undefinedIfMissing(stat(this.#path(key)))
      return found?.isFile() ? { size: found.size } : undefined
    })
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    return guarded(key, async () => {
      // Opened before the stream is returned, so that the stream reads this object to its end even if
      // another one replaces it meanwhile.
      const file = await undefinedIfMissing(open(this.#path(key), constants.O_RDONLY))
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
      undefinedIfMissing(open(this.#path(key), constants.O_RDONLY)),
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
    { ifAbsent = false }: PutOptions = {},
  ): Promise<'stored' | 'exists'> {
    const target = this.#path(key)
    return guarded(key, () => this.#writes.write(target, content, ifAbsent))
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    await guarded(key, () => undefinedIfMissing(unlink(path)))
  }

  async *list(prefix: string): AsyncIterable<string> {
    if (prefix !== '') this.#path(prefix.replace(/\/$/, ''))
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    const found = await guarded(prefix, () =>
      undefinedIfMissing(opendir(join(this.#root, folder), { recursive: true })),
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

  #path(key: string): string {
    return join(this.#root, checkedStorageKey(key))
  }
}

function isStaging(key: string): boolean {
  return key === stagingName || key.startsWith(`${stagingName}/`)
}

/** Turns an error of the file system into a Failure that tells clients to try again. */
async function guarded<T>(subject: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    const isSystemError = (cause as NodeJS.ErrnoException).code !== undefined
    if (!isSystemError || cause instanceof TypeError) throw cause
    const message = `the storage cannot be used (${subject}): ${messageOf(cause)}`
    throw new Failure('unavailable', message, { retryAfter, cause })
  }
}
