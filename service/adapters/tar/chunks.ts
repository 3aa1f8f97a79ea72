/** An archive as a row of equally large chunks. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { StoreFileEntry, TarEntry } from './entry.ts'
import { encodeHeader, endOfArchive, paddingAfter } from './header.ts'

/**
 * Bytes. Large enough that a chunk costs little, small enough that it is still in the processor's cache
 * when it is hashed and compressed.
 */
export const chunkSize = 256 * 1024

/**
 * The bytes of the archive. A chunk is valid until the next one is asked for: then its memory may be
 * filled again.
 * @param room gives the memory for the next chunk: chunkSize bytes
 * @throws Error when a file cannot be read, or changes meanwhile
 */
export function* tarChunks(
  entries: Iterable<TarEntry>,
  room: () => Buffer = always(Buffer.allocUnsafeSlow(chunkSize)),
): Generator<Buffer> {
  const chunk = new Chunk(room)
  for (const entry of entries) {
    if (entry.kind === 'store-file') yield* addStoreFile(chunk, entry)
    else if (entry.kind === 'file') {
      const { kind, path, mode, bytes } = entry
      yield* chunk.add(encodeHeader({ kind, path, mode, size: bytes.length }))
      yield* chunk.add(bytes)
      yield* chunk.pad(bytes.length)
    } else yield* chunk.add(encodeHeader(entry))
  }
  yield* chunk.add(endOfArchive)
  if (chunk.used > 0) yield chunk.take()
}

function always<T>(value: T): () => T {
  return () => value
}

class Chunk {
  readonly #next: () => Buffer
  #buffer: Buffer | undefined
  used = 0

  constructor(next: () => Buffer) {
    this.#next = next
  }

  /** What is still free; never empty. */
  get room(): Buffer {
    // Only now: what was in it has been used.
    this.#buffer ??= this.#next()
    return this.#buffer.subarray(this.used)
  }

  take(): Buffer {
    const taken = this.#buffer?.subarray(0, this.used) ?? Buffer.alloc(0)
    this.#buffer = undefined
    this.used = 0
    return taken
  }

  *fill(bytes: number): Generator<Buffer> {
    this.used += bytes
    if (this.used === chunkSize) yield this.take()
  }

  *add(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.room, 0, at)
      at += copied
      yield* this.fill(copied)
    }
  }

  pad(size: number): Generator<Buffer> {
    return this.add(endOfArchive.subarray(0, paddingAfter(size)))
  }
}

function* addStoreFile(chunk: Chunk, { path, source }: StoreFileEntry): Generator<Buffer> {
  const fd = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { mode, size } = fstatSync(fd)
    yield* chunk.add(encodeHeader({ kind: 'file', path, mode: modeInStore(mode), size }))
    let missing = size
    let ended = false
    while (missing > 0) {
      // One byte more than there should be: a read that does not get it has met the end of the file, and
      // saves the read that would look for it.
      const room = chunk.room
      const wanted = Math.min(room.length, missing + 1)
      const got = readSync(fd, room, 0, wanted, null)
      if (got === 0 || got > missing) throw changed(source, size)
      ended = got < wanted
      missing -= got
      yield* chunk.fill(got)
    }
    if (!ended && readSync(fd, Buffer.alloc(1), 0, 1, null) > 0) throw changed(source, size)
    yield* chunk.pad(size)
  } finally {
    closeSync(fd)
  }
}

/** As Nix gives it, also where the store's file system shows another one. */
function modeInStore(mode: number): number {
  return (mode & 0o100) === 0 ? 0o444 : 0o555
}

function changed(path: Buffer, size: number): Error {
  return new Error(`${path} changed while it was read: it is no longer ${size} bytes long`)
}
