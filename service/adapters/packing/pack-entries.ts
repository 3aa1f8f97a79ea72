/** Writing a layer file. Runs in a packing thread: it reads and writes synchronously. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import type { Digest } from '../../domain/descriptor.ts'
import { tarChunks } from '../tar/chunks.ts'
import type { TarEntry } from '../tar/entry.ts'
import type { Compressor } from './compressor.ts'
import type { LayerFile } from './job.ts'

/**
 * Writes entries as a compressed tar archive into a new file.
 * @throws Error when an entry cannot be read or the file cannot be written; the file is then gone
 */
export function packEntries(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  path: string,
  { md5 = false } = {},
): LayerFile {
  const fd = openSync(path, 'wx')
  try {
    const { size, md5: sum, ...layer } = writeLayer(entries, compressor, fd, md5)
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
export function writeLayer(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  fd: number,
  takesMd5 = false,
): WrittenLayer {
  const tar = new Hashed()
  const layer = new Hashed()
  // For a storage that verifies by it.
  const md5 = takesMd5 ? createHash('md5') : undefined
  for (const chunk of tarChunks(entries)) {
    tar.update(chunk)
    const bytes = compressor.compress(chunk)
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    // Uncompressed bytes need not be hashed twice.
    if (bytes !== chunk) layer.update(bytes)
    md5?.update(bytes)
  }
  const written = layer.size > 0 ? layer : tar
  const diffId = tar.digest()
  return {
    digest: written === tar ? diffId : written.digest(),
    size: written.size,
    diffId,
    tarSize: tar.size,
    ...(md5 && { md5: md5.digest('base64') }),
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
