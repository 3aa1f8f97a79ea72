/** Writes a tar archive as a sequence of equally large chunks. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { bytesOf, fsPath } from './byte-string.ts'
import type { StoreFileEntry, TarEntry } from './entry.ts'
import { encodeHeader, endOfArchive, paddingAfter } from './header.ts'

/**
 * Bytes of a chunk. Large enough that the overhead of a chunk is small, small enough that the processor's cache
 * still holds the chunk when it is hashed and compressed.
 */
export const chunkSize = 256 * 1024

/** Receives the chunks of an archive. */
export interface ChunkSink {
  /** Returns memory for the next chunk: chunkSize bytes. */
  nextBuffer(): Buffer
  /** @param chunk the filled part of that memory; only the last chunk is smaller than chunkSize */
  add(chunk: Buffer): void
}

/**
 * Writes an archive of the entries.
 * @throws Error if a file cannot be read, or changes while it is read
 */
export function writeTar(entries: Iterable<TarEntry>, sink: ChunkSink): void {
  const archive = new Archive(sink)
  for (const entry of entries) {
    if (entry.kind === 'store-file') addStoreFile(archive, entry)
    else if (entry.kind === 'file') {
      const { kind, path, mode, bytes } = entry
      archive.add(encodeHeader({ kind, path, mode, size: bytes.length }))
      archive.add(bytes)
      archive.pad(bytes.length)
    } else archive.add(encodeHeader(entry))
  }
  archive.add(endOfArchive)
  archive.flush()
}

/** Cuts an archive into chunks. */
class Archive {
  readonly #sink: ChunkSink
  #buffer: Buffer | undefined
  #used = 0

  constructor(sink: ChunkSink) {
    this.#sink = sink
  }

  /** Memory for the next bytes; never empty. */
  get room(): Buffer {
    this.#buffer ??= this.#sink.nextBuffer()
    return this.#used === 0 ? this.#buffer : this.#buffer.subarray(this.#used)
  }

  /** Adds bytes that were written to `room`. */
  advance(bytes: number): void {
    this.#used += bytes
    if (this.#used === chunkSize) this.flush()
  }

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      this.#buffer ??= this.#sink.nextBuffer()
      const copied = bytes.copy(this.#buffer, this.#used, at)
      at += copied
      this.advance(copied)
    }
  }

  /** Adds the padding after content of this many bytes. */
  pad(size: number): void {
    const padding = paddingAfter(size)
    if (padding > 0) this.add(endOfArchive.subarray(0, padding))
  }

  flush(): void {
    if (this.#buffer === undefined) return
    const chunk = this.#buffer.subarray(0, this.#used)
    this.#buffer = undefined
    this.#used = 0
    this.#sink.add(chunk)
  }
}

function addStoreFile(archive: Archive, { path, source }: StoreFileEntry): void {
  const fd = openSync(fsPath(source), constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { mode, size } = fstatSync(fd)
    archive.add(encodeHeader({ kind: 'file', path, mode: modeInStore(mode), size }))
    let missing = size
    let isAtEnd = false
    while (missing > 0) {
      // Requests one byte more than the file should have: a shorter read proves that the file ends here,
      // which saves a further read.
      const room = archive.room
      const requested = Math.min(room.length, missing + 1)
      const read = readSync(fd, room, 0, requested, null)
      if (read === 0 || read > missing) throw changed(source, size)
      isAtEnd = read < requested
      missing -= read
      archive.advance(read)
    }
    if (!isAtEnd && readSync(fd, Buffer.alloc(1), 0, 1, null) > 0) throw changed(source, size)
    archive.pad(size)
  } finally {
    closeSync(fd)
  }
}

/** Returns the mode that Nix gives to a file, even if the store's file system shows another one. */
function modeInStore(mode: number): number {
  return (mode & 0o100) === 0 ? 0o444 : 0o555
}

function changed(path: string, size: number): Error {
  return new Error(`${bytesOf(path)} changed while it was read: it is no longer ${size} bytes long`)
}
