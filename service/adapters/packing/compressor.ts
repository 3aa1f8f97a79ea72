/**
 * Compressing layers, piece by piece. Each piece becomes a gzip member or a zstd frame of its own; these may
 * follow one another (RFC 1952 section 2.2, RFC 8878 section 3). So it is done here and now, without zlib's
 * streams, whose work would go to the thread pool that serves requests.
 */
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Compression } from '../../image/keys.ts'
import { IsaL } from './isa-l.ts'
import { Libzstd } from './libzstd.ts'
import { type FindLibrary, findLibrary } from './native-library.ts'

export interface Compressor {
  /** For people: `isa-l gzip -1`. */
  readonly name: string
  /** It leaves pieces as they are. */
  readonly isPlain?: boolean
  /** @returns bytes that are good until the next call */
  compress(piece: Buffer): Uint8Array
  /** Gives back what is not JavaScript's. */
  close?(): void
}

const gzipLevel = 1

/**
 * What level 2 does, with a hash table for which a piece is large enough instead of two: as small within
 * 1 %, in three quarters of the time.
 */
const zstdParameters = {
  [constants.ZSTD_c_compressionLevel]: 2,
  [constants.ZSTD_c_strategy]: constants.ZSTD_fast,
  [constants.ZSTD_c_hashLog]: 15,
  [constants.ZSTD_c_minMatch]: 5,
  [constants.ZSTD_c_checksumFlag]: 1,
}

/** The best way to compress like this on this machine. */
export async function findCompressor(
  kind: Compression,
  find: FindLibrary = findLibrary,
): Promise<Compressor> {
  switch (kind) {
    case 'gzip': {
      const isaL = await IsaL.find(find)
      return isaL
        ? {
            name: `isa-l gzip -${gzipLevel}`,
            compress: (piece) => isaL.gzip(piece),
            close: () => isaL.close(),
          }
        : zlibGzip
    }
    case 'zstd': {
      const libzstd = await Libzstd.find(zstdParameters, find)
      return libzstd
        ? {
            name: 'libzstd zstd -2',
            compress: (piece) => libzstd.frame(piece),
            close: () => libzstd.close(),
          }
        : zlibZstd
    }
    case 'none':
      return { name: 'none', isPlain: true, compress: (piece) => piece }
  }
}

const zlibGzip: Compressor = {
  name: `zlib gzip -${gzipLevel}`,
  compress: (piece) => gzipSync(piece, { level: gzipLevel }),
}

const zlibZstd: Compressor = {
  name: 'zlib zstd -2',
  compress: (piece) => zstdCompressSync(piece, { params: zstdParameters }),
}
