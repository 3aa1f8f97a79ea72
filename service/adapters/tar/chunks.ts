/** An archive as a row of equally large chunks. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { bytesOf, fsPath, type StoreFileEntry, type TarEntry } from './entry.ts'
import { encodeHeader, endOfArchive, paddingAfter } from './header.ts'

/**
 * Bytes. Large enough that a chunk costs little, small enough that it is still in the processor's cache
 * when it is hashed and compressed.
 */
export const chunkSize = 256 * 1024

/** Where chunks go. */
export interface ChunkSink {
  /** Memory for the next chunk: chunkSize bytes. */
  room(): Buffer
  /** Takes that memory back, with a chunk at its beginning. Only the last chunk is smaller than the others. */
  add(chunk: Buffer): void
}

/** @throws Error when a file cannot be read, or changes meanwhile */
export function writeChunks(entries: Iterable<TarEntry>, sink: ChunkSink): void {
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
  archive.end()
}

class Archive {
  readonly #sink: ChunkSink
  #chunk: Buffer | undefined
  #used = 0

  constructor(sink: ChunkSink) {
    this.#sink = sink
  }

  /** Memory for what comes next; never empty. */
  get room(): Buffer {
    this.#chunk ??= this.#sink.room()
    return this.#used === 0 ? this.#chunk : this.#chunk.subarray(this.#used)
  }

  /** So many bytes have been written there. */
  fill(bytes: number): void {
    this.#used += bytes
    if (this.#used === chunkSize) this.end()
  }

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      this.#chunk ??= this.#sink.room()
      const copied = bytes.copy(this.#chunk, this.#used, at)
      at += copied
      this.fill(copied)
    }
  }

  pad(size: number): void {
    const padding = paddingAfter(size)
    if (padding > 0) this.add(endOfArchive.subarray(0, padding))
  }

  end(): void {
    if (this.#chunk === undefined) return
    const full = this.#chunk.subarray(0, this.#used)
    this.#chunk = undefined
    this.#used = 0
    this.#sink.add(full)
  }
}

function addStoreFile(archive: Archive, { path, source }: StoreFileEntry): void {
  const fd = openSync(fsPath(source), constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { mode, size } = fstatSync(fd)
    archive.add(encodeHeader({ kind: 'file', path, mode: modeInStore(mode), size }))
    let missing = size
    let ended = false
    while (missing > 0) {
      // One byte more than there should be: a read that does not get it has met the end of the file, and
      // saves the read that would look for it.
      const room = archive.room
      const wanted = Math.min(room.length, missing + 1)
      const got = readSync(fd, room, 0, wanted, null)
      if (got === 0 || got > missing) throw changed(source, size)
      ended = got < wanted
      missing -= got
      archive.fill(got)
    }
    if (!ended && readSync(fd, Buffer.alloc(1), 0, 1, null) > 0) throw changed(source, size)
    archive.pad(size)
  } finally {
    closeSync(fd)
  }
}

/** As Nix gives it, also where the store's file system shows another one. */
function modeInStore(mode: number): number {
  return (mode & 0o100) === 0 ? 0o444 : 0o555
}

function changed(path: string, size: number): Error {
  return new Error(`${bytesOf(path)} changed while it was read: it is no longer ${size} bytes long`)
}
