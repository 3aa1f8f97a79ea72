/** Writing a layer file. Runs in a packing thread: it reads and writes synchronously. */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import type { Digest } from '../../domain/descriptor.ts'
import { chunkSize, tarChunks } from '../tar/chunks.ts'
import type { TarEntry } from '../tar/entry.ts'
import { type Compressor, openCompressor, type Sink } from './compressor.ts'
import type { LayerFile } from './job.ts'

/**
 * Writes entries as a compressed tar archive into a new file.
 * @throws Error when an entry cannot be read or the file cannot be written; the file is then gone
 */
export async function packEntries(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  path: string,
  { md5 = false } = {},
): Promise<LayerFile> {
  const fd = openSync(path, 'wx+')
  try {
    const { size, md5: sum, ...layer } = await writeLayer(entries, compressor, fd, md5)
    return { file: { path, size, ...(sum === undefined ? {} : { md5: sum }) }, ...layer }
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
export async function writeLayer(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  fd: number,
  takesMd5 = false,
): Promise<WrittenLayer> {
  const tar = new Hashed()
  const layer = new WrittenFile(fd, takesMd5)
  const stream = openCompressor(compressor, layer)
  try {
    // One chunk is compressed while the next one is read into the other buffer and hashed.
    let writing = Promise.resolve()
    for (const chunk of tarChunks(entries)) {
      // Uncompressed bytes need not be hashed twice.
      if (compressor.method !== 'none') tar.update(chunk)
      await writing
      writing = stream.write(chunk)
      // Reading may fail before this is awaited, and that is then the error that counts.
      writing.catch(() => {})
    }
    await writing
    await stream.end()
  } catch (error) {
    await stream.abort()
    throw error
  }
  const { digest, size, md5 } = layer.finish()
  const isPlain = compressor.method === 'none'
  return {
    digest,
    size,
    diffId: isPlain ? digest : tar.digest(),
    tarSize: isPlain ? size : tar.size,
    ...(md5 === undefined ? {} : { md5 }),
  }
}

/** The file of a layer: what is written there is hashed, as it passes or as soon as it is there. */
class WrittenFile implements Sink {
  readonly fd: number
  readonly #hash = new Hashed()
  /** For a storage that verifies by it. */
  readonly #md5: Hash | undefined

  constructor(fd: number, takesMd5: boolean) {
    this.fd = fd
    this.#md5 = takesMd5 ? createHash('md5') : undefined
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at)
    this.#note(bytes)
  }

  adopt(): void {
    const buffer = Buffer.allocUnsafeSlow(chunkSize)
    for (;;) {
      const length = readSync(this.fd, buffer, 0, chunkSize, this.#hash.size)
      if (length === 0) return
      this.#note(buffer.subarray(0, length))
    }
  }

  finish(): { digest: Digest; size: number; md5: string | undefined } {
    return {
      digest: this.#hash.digest(),
      size: this.#hash.size,
      md5: this.#md5?.digest('base64'),
    }
  }

  #note(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#md5?.update(bytes)
  }
}

class Hashed {
  readonly #hash = createHash('sha256')
  size = 0

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.size += bytes.length
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}
