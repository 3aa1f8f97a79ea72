/** Writing a layer file. Runs in a packing thread: it reads and writes synchronously. */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import type { Digest } from '../../image/descriptor.ts'
import { writeChunks } from '../tar/chunks.ts'
import type { TarEntry } from '../tar/entry.ts'
import type { Compressor } from './compressor.ts'
import type { LayerFile } from './job.ts'
import { OrderedPieces } from './ordered-pieces.ts'
import type { SharedPieces } from './shared-pieces.ts'

export interface PackOptions {
  /** Whether the MD5 of the file is wanted. @default false */
  readonly md5?: boolean
  /** Asks others for help with a layer that turns out to be large. */
  readonly share?: () => SharedPieces
}

/**
 * Writes entries as a compressed tar archive into a new file.
 * @throws Error when an entry cannot be read or the file cannot be written; the file is then gone
 */
export function packEntries(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  path: string,
  options: PackOptions = {},
): LayerFile {
  const fd = openSync(path, 'wx')
  try {
    const { size, md5, ...layer } = writeLayer(entries, compressor, fd, options)
    return { file: { path, size, ...(md5 === undefined ? {} : { md5 }) }, ...layer }
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}

export interface WrittenLayer extends Omit<LayerFile, 'file'> {
  /** Bytes written. */
  readonly size: number
  /** Base64, if it was asked for. */
  readonly md5?: string
}

/** @param fd a file that is empty */
export function writeLayer(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  fd: number,
  { md5: takesMd5 = false, share }: PackOptions = {},
): WrittenLayer {
  const tar = new Hashed()
  const file = new WrittenFile(fd, takesMd5, compressor.isPlain ? tar : undefined)
  const pieces = new OrderedPieces(compressor, (bytes) => file.write(bytes), share)
  try {
    writeChunks(entries, {
      room: () => pieces.room(),
      add(chunk) {
        tar.update(chunk)
        pieces.add(chunk)
      },
    })
    pieces.end()
  } finally {
    pieces.close()
  }
  return { ...file.finish(), diffId: tar.digest, tarSize: tar.size }
}

class WrittenFile {
  readonly #fd: number
  readonly #hash: Hashed
  readonly #isHashed: boolean
  /** For a storage that verifies by it. */
  readonly #md5: Hash | undefined

  /** @param known what hashes the same bytes already */
  constructor(fd: number, takesMd5: boolean, known: Hashed | undefined) {
    this.#fd = fd
    this.#hash = known ?? new Hashed()
    this.#isHashed = known !== undefined
    this.#md5 = takesMd5 ? createHash('md5') : undefined
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
    if (!this.#isHashed) this.#hash.update(bytes)
    this.#md5?.update(bytes)
  }

  finish(): { digest: Digest; size: number; md5?: string } {
    const md5 = this.#md5?.digest('base64')
    return { digest: this.#hash.digest, size: this.#hash.size, ...(md5 && { md5 }) }
  }
}

class Hashed {
  readonly #hash = createHash('sha256')
  #digest: Digest | undefined
  size = 0

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.size += bytes.length
  }

  /** Of all; nothing may follow. */
  get digest(): Digest {
    this.#digest ??= `sha256:${this.#hash.digest('hex')}`
    return this.#digest
  }
}
