/** Writing a layer file. Runs in a packing thread: it reads and writes synchronously. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import type { Digest } from '../../domain/descriptor.ts'
import { tarChunks } from '../tar/chunks.ts'
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
  { md5: takesMd5 = false } = {},
): Promise<LayerFile> {
  const fd = openSync(path, 'wx')
  // Taken while the bytes are in the cache, for a storage that verifies by it.
  const md5 = takesMd5 ? createHash('md5') : undefined
  try {
    const { size, ...layer } = await writeLayer(entries, compressor, fd, (bytes) =>
      md5?.update(bytes),
    )
    const file = { path, size, ...(md5 ? { md5: md5.digest('base64') } : {}) }
    return { file, ...layer }
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
}

/** The digests come from the very bytes that are written, as they pass. */
export async function writeLayer(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  fd: number,
  onWritten: Sink = () => {},
): Promise<WrittenLayer> {
  const tar = new Hashed()
  // Uncompressed bytes need not be hashed twice.
  const written = compressor.method === 'none' ? tar : new Hashed()
  const stream = openCompressor(compressor, (bytes) => {
    if (written !== tar) written.update(bytes)
    writeAll(fd, bytes)
    onWritten(bytes)
  })
  try {
    // One chunk is compressed while the next one is read into the other buffer and hashed.
    let writing = Promise.resolve()
    for (const chunk of tarChunks(entries)) {
      tar.update(chunk)
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
  const diffId = tar.digest()
  const digest = written === tar ? diffId : written.digest()
  return { digest, diffId, size: written.size, tarSize: tar.size }
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

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}
