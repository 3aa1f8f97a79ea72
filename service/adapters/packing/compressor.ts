/**
 * Selects how layers are compressed. Each chunk of a tar becomes one gzip member or one zstd frame. A file may
 * consist of several of them (RFC 1952 section 2.2, RFC 8878 section 3). All calls are synchronous: zlib's streams
 * would compress in the thread pool of libuv, which serves requests.
 */
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Compression } from '../../image/keys.ts'
import { findIsaL } from './isa-l.ts'
import { type FindLibrary, findLibrary, type UnusedLibrary } from './native-library.ts'

export interface Compressor {
  /** Name for the log: `isa-l gzip -1`. */
  readonly name: string
  /** True if `compress` returns its argument. @default false */
  readonly isIdentity?: boolean
  /** Returns the compressed chunk. Its bytes are valid until the next call. */
  compress(chunk: Buffer): Uint8Array
}

export interface SelectedCompressor {
  readonly compressor: Compressor
  /** Faster libraries that are not used, because they are missing or do not work. */
  readonly unusedLibraries: readonly UnusedLibrary[]
}

const gzipLevel = 1

/**
 * Level 2, but with one hash table instead of two, whose size is right for a chunk. This takes three quarters of the
 * time, and the result is at most 1 % larger.
 */
const zstdParameters = {
  [constants.ZSTD_c_compressionLevel]: 2,
  [constants.ZSTD_c_strategy]: constants.ZSTD_fast,
  [constants.ZSTD_c_hashLog]: 15,
  [constants.ZSTD_c_minMatch]: 5,
  [constants.ZSTD_c_checksumFlag]: 1,
}

/** Selects the fastest compressor of a kind that works on this machine. */
export async function selectCompressor(
  kind: Compression,
  find: FindLibrary = findLibrary,
): Promise<SelectedCompressor> {
  switch (kind) {
    case 'gzip': {
      const { made: isaL, unused } = await findIsaL(find)
      if (isaL === undefined) return { compressor: zlibGzip, unusedLibraries: unused }
      const name = `isa-l gzip -${gzipLevel}`
      const compressor = { name, compress: (chunk: Buffer) => isaL.gzip(chunk) }
      return { compressor, unusedLibraries: [] }
    }
    case 'zstd':
      return { compressor: zlibZstd, unusedLibraries: [] }
    case 'none':
      return { compressor: identity, unusedLibraries: [] }
  }
}

const zlibGzip: Compressor = {
  name: `zlib gzip -${gzipLevel}`,
  compress: (chunk) => gzipSync(chunk, { level: gzipLevel }),
}

const zlibZstd: Compressor = {
  name: 'zlib zstd -2',
  compress: (chunk) => zstdCompressSync(chunk, { params: zstdParameters }),
}

const identity: Compressor = { name: 'none', isIdentity: true, compress: (chunk) => chunk }
