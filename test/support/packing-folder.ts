/** A temporary folder with two small store paths, `a` and `b`, and an empty staging folder. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { storeEntries } from '../../service/adapters/tar/store-entries.ts'

export class PackingFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'slipway-packing-'))
  /** Stands for /nix/store. */
  readonly store = join(this.path, 'store')
  readonly staging = join(this.path, 'staging')

  constructor() {
    mkdirSync(join(this.store, 'a/bin'), { recursive: true })
    mkdirSync(join(this.store, 'b/bin'), { recursive: true })
    mkdirSync(this.staging)
    writeFileSync(join(this.store, 'a/bin/x'), Buffer.alloc(1_500_000, 'repeated text '))
    writeFileSync(join(this.store, 'b/bin/x'), 'b')
    writeFileSync(join(this.store, 'b/random'), createHash('sha512').update('seed').digest())
  }

  /** Returns the tar entries of store paths. */
  entries(...names: string[]) {
    return storeEntries(
      names.map((name) => `/nix/store/${name}`),
      this.store,
    )
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true })
  }
}

/** Decompresses gzip and zstd; returns other bytes unchanged. */
export function decompress(bytes: Buffer): Buffer {
  const magic = bytes.subarray(0, 4).toString('hex')
  if (magic.startsWith('1f8b')) return gunzipSync(bytes)
  return magic === '28b52ffd' ? zstdDecompressSync(bytes) : bytes
}
