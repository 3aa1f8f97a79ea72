/** Compresses the chunks of a layer and writes them in order. Idle workers help with a large layer. */
import { chunkSize } from '../tar/write-tar.ts'
import type { Compressor } from './compressor.ts'
import type { SharedChunks } from './shared-chunks.ts'

/** Bytes of tar from which help saves more time than it costs. */
const largeLayer = 4 * 1024 * 1024

export class OrderedCompressor {
  readonly #compress: (chunk: Buffer) => Uint8Array
  readonly #write: (bytes: Uint8Array) => void
  readonly #requestHelp: (() => SharedChunks) | undefined
  readonly #ownBuffer = Buffer.allocUnsafeSlow(chunkSize)
  #size = 0
  #shared: SharedChunks | undefined

  /** @param requestHelp called at most once, when the layer turns out to be large */
  constructor(
    compressor: Compressor,
    write: (bytes: Uint8Array) => void,
    requestHelp?: () => SharedChunks,
  ) {
    this.#compress = (chunk) => compressor.compress(chunk)
    this.#write = write
    // Without compression helpers have nothing to do.
    this.#requestHelp = compressor.isIdentity ? undefined : requestHelp
  }

  /** Returns memory for the next chunk. */
  nextBuffer(): Buffer {
    const shared = this.#shared
    if (!shared?.hasHelpers) {
      // Without helpers, it is faster to compress each chunk at once, while it is in the processor's cache.
      this.finish()
      return this.#ownBuffer
    }
    if (shared.isFull) this.#write(shared.take(this.#compress))
    return shared.nextBuffer
  }

  /** @param chunk the filled part of the last `nextBuffer` */
  add(chunk: Buffer): void {
    this.#size += chunk.length
    if (chunk.buffer === this.#ownBuffer.buffer) this.#write(this.#compress(chunk))
    else this.#shared?.add(chunk.length)
    if (this.#size >= largeLayer) this.#shared ??= this.#requestHelp?.()
  }

  /** Writes all chunks that are not written yet. */
  finish(): void {
    while (this.#shared?.size) this.#write(this.#shared.take(this.#compress))
  }

  /** Dismisses all helpers. Called after a failure, too. */
  close(): void {
    this.#shared?.close()
  }
}
