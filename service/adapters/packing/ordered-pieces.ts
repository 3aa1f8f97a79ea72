/** Compresses the pieces of a layer, with others' help if it is large, and gives them on in their order. */
import { chunkSize } from '../tar/chunks.ts'
import type { Compressor } from './compressor.ts'
import type { SharedPieces } from './shared-pieces.ts'

/** Bytes from which it pays to have others help. */
const largeLayer = 4 * 1024 * 1024

export class OrderedPieces {
  readonly #compress: (piece: Buffer) => Uint8Array
  readonly #write: (bytes: Uint8Array) => void
  readonly #share: (() => SharedPieces) | undefined
  readonly #own = Buffer.allocUnsafeSlow(chunkSize)
  #size = 0
  #shared: SharedPieces | undefined

  /** @param share asks others for help, when it turns out that the layer is large */
  constructor(
    compressor: Compressor,
    write: (bytes: Uint8Array) => void,
    share?: () => SharedPieces,
  ) {
    this.#compress = (piece) => compressor.compress(piece)
    this.#write = write
    // There is nothing to help with.
    this.#share = compressor.isPlain ? undefined : share
  }

  /** Memory for the next piece. */
  room(): Buffer {
    const shared = this.#shared
    if (!shared?.hasHelpers) {
      // By itself it takes less to compress a piece while it is in the processor's cache.
      this.end()
      return this.#own
    }
    if (shared.isFull) this.#write(shared.take(this.#compress))
    return shared.room
  }

  /** @param piece what has been filled of the memory that was given last */
  add(piece: Buffer): void {
    this.#size += piece.length
    if (piece.buffer === this.#own.buffer) this.#write(this.#compress(piece))
    else this.#shared?.put(piece.length)
    if (this.#size >= largeLayer) this.#shared ??= this.#share?.()
  }

  /** Gives on all that is still in work. */
  end(): void {
    while (this.#shared?.size) this.#write(this.#shared.take(this.#compress))
  }

  /** Lets the others go, also when something has failed. */
  close(): void {
    this.#shared?.close()
  }
}
