/** An archive as a row of equally large chunks, in two buffers that take turns. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import type { FileEntry, TarEntry } from './entry.ts'
import { encodeHeader, endOfArchive, paddingAfter } from './header.ts'

/**
 * Bytes. Large enough that a chunk costs little, small enough that it is still in the processor's cache
 * when it is hashed and compressed.
 */
export const chunkSize = 256 * 1024

/**
 * The bytes of the archive. A chunk is valid until the second next one is asked for: its buffer is
 * then filled again. So one chunk may be written while the next is read.
 * @throws Error when a file cannot be read, or has not the size that its entry gives
 */
export function* tarChunks(entries: Iterable<TarEntry>): Generator<Buffer> {
  const chunk = new Chunk()
  for (const entry of entries) {
    yield* chunk.add(encodeHeader(entry))
    if (entry.kind !== 'file') continue
    if ('bytes' in entry.content) yield* chunk.add(entry.content.bytes)
    else yield* readInto(chunk, entry, entry.content.file)
    yield* chunk.add(endOfArchive.subarray(0, paddingAfter(entry.size)))
  }
  yield* chunk.add(endOfArchive)
  if (chunk.used > 0) yield chunk.take()
}

class Chunk {
  #buffer = Buffer.allocUnsafeSlow(chunkSize)
  #other = Buffer.allocUnsafeSlow(chunkSize)
  used = 0

  /** What is still free; never empty. */
  get room(): Buffer {
    return this.#buffer.subarray(this.used)
  }

  take(): Buffer {
    const full = this.#buffer.subarray(0, this.used)
    const next = this.#other
    this.#other = this.#buffer
    this.#buffer = next
    this.used = 0
    return full
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
}

function* readInto(chunk: Chunk, entry: FileEntry, path: Buffer): Generator<Buffer> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    let missing = entry.size
    let ended = false
    while (missing > 0) {
      // One byte more than there should be: a read that does not get it has met the end of the file, and
      // saves the read that would look for it.
      const room = chunk.room
      const wanted = Math.min(room.length, missing + 1)
      const got = readSync(fd, room, 0, wanted, null)
      if (got === 0 || got > missing) throw changed(path, entry.size)
      ended = got < wanted
      missing -= got
      yield* chunk.fill(got)
    }
    if (!ended && readSync(fd, Buffer.alloc(1), 0, 1, null) > 0) throw changed(path, entry.size)
  } finally {
    closeSync(fd)
  }
}

function changed(path: Buffer, size: number): Error {
  return new Error(`${path} changed while it was read: it is no longer ${size} bytes long`)
}
