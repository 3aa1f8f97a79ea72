/** Computes the digests and sizes of a layer while its bytes are written. */
import { createHash, type Hash } from 'node:crypto'
import type { Digest } from '../../image/descriptor.ts'

export interface LayerDigestsOptions {
  /** False if the file is the tar itself, whose bytes are then hashed once. */
  readonly isCompressed: boolean
  /** True if the MD5 of the file is computed, for a storage that verifies uploads by it. */
  readonly md5: boolean
}

export interface LayerSums {
  /** SHA-256 of the file. */
  readonly digest: Digest
  /** Bytes of the file. */
  readonly size: number
  /** MD5 of the file in base64, if it was requested. */
  readonly md5?: string
  /** SHA-256 of the tar. */
  readonly diffId: Digest
  /** Bytes of the tar. */
  readonly tarSize: number
}

export class LayerDigests {
  readonly #tar = new Sha256()
  /** Undefined if it equals `#tar`. */
  readonly #file: Sha256 | undefined
  readonly #md5: Hash | undefined

  constructor({ isCompressed, md5 }: LayerDigestsOptions) {
    this.#file = isCompressed ? new Sha256() : undefined
    this.#md5 = md5 ? createHash('md5') : undefined
  }

  /** Adds bytes of the tar. */
  addTar(bytes: Uint8Array): void {
    this.#tar.update(bytes)
  }

  /** Adds bytes of the file. */
  addFile(bytes: Uint8Array): void {
    this.#file?.update(bytes)
    this.#md5?.update(bytes)
  }

  /** Returns the results; no bytes may be added afterwards. */
  finish(): LayerSums {
    const tar = this.#tar.finish()
    const { digest, size } = this.#file?.finish() ?? tar
    const md5 = this.#md5?.digest('base64')
    return { digest, size, ...(md5 && { md5 }), diffId: tar.digest, tarSize: tar.size }
  }
}

class Sha256 {
  readonly #hash = createHash('sha256')
  #size = 0

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#size += bytes.length
  }

  finish(): { digest: Digest; size: number } {
    return { digest: `sha256:${this.#hash.digest('hex')}`, size: this.#size }
  }
}
