/** Writes a layer file: entries → tar → compressed chunks. Runs in a worker, so all I/O is synchronous. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import type { TarEntry } from '../tar/entry.ts'
import { writeTar } from '../tar/write-tar.ts'
import type { Compressor } from './compressor.ts'
import { LayerDigests, type LayerSums } from './layer-digests.ts'
import { OrderedCompressor } from './ordered-compressor.ts'
import type { SharedChunks } from './shared-chunks.ts'
import type { LayerFile } from './worker-messages.ts'

export interface WriteLayerOptions {
  /** True if the MD5 of the file is computed. @default false */
  readonly md5?: boolean
  /** Called when the layer turns out to be large: requests the help of idle workers. @default no help */
  readonly requestHelp?: () => SharedChunks
}

/**
 * Writes entries as a compressed tar archive to a new file.
 * @throws Error if an entry cannot be read or the file cannot be written; the file is removed then
 */
export function writeLayerFile(
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  path: string,
  options: WriteLayerOptions = {},
): LayerFile {
  const fd = openSync(path, 'wx')
  try {
    const { size, md5, ...layer } = writeLayerTo(fd, entries, compressor, options)
    return { file: { path, size, ...(md5 === undefined ? {} : { md5 }) }, ...layer }
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}

/** @param fd an empty file */
export function writeLayerTo(
  fd: number,
  entries: Iterable<TarEntry>,
  compressor: Compressor,
  { md5 = false, requestHelp }: WriteLayerOptions = {},
): LayerSums {
  const digests = new LayerDigests({ isCompressed: !compressor.isIdentity, md5 })
  const write = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    digests.addFile(bytes)
  }
  const ordered = new OrderedCompressor(compressor, write, requestHelp)
  try {
    writeTar(entries, {
      nextBuffer: () => ordered.nextBuffer(),
      add(chunk) {
        digests.addTar(chunk)
        ordered.add(chunk)
      },
    })
    ordered.finish()
  } finally {
    ordered.close()
  }
  return digests.finish()
}
