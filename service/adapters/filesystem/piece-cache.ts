/**
 * Pieces of files that were read lately. When a release is rolled out, many machines ask for the same layers at
 * once: what one of them was sent, the others get without another look at the disk. Pieces lie in a fixed
 * number of buffers, which are used again and again, so that none of them is ever garbage.
 */
import type { FileHandle } from 'node:fs/promises'

/** Bytes of a piece: still in the processor's cache when it is sent, and large enough to be read at once. */
export const pieceSize = 256 * 1024

/** Buffers: 16 MiB in all. */
export const mostBuffers = 64

export interface Piece {
  readonly key: string
  readonly buffer: Buffer
  /** Resolves to the bytes that are in it. */
  readonly length: Promise<number>
  /** Those who are being sent it, and the read that fills it. */
  users: number
}

export class PieceCache {
  /** The one that was not used for the longest time comes first. */
  readonly #pieces = new Map<string, Piece>()
  readonly #free: Buffer[] = []
  #made = 0

  /**
   * A piece, which stays as it is until it is released.
   * @param identity the same for two files only if they have the same bytes
   * @param expected bytes that the piece should have
   * @returns undefined when all buffers are in use
   */
  acquire(file: FileHandle, identity: string, index: number, expected: number): Piece | undefined {
    const key = `${identity}:${index}`
    const known = this.#pieces.get(key)
    if (known !== undefined) {
      this.#pieces.delete(key)
      this.#pieces.set(key, known)
      known.users += 1
      return known
    }
    const buffer = this.#buffer()
    if (buffer === undefined) return undefined
    const length = file
      .read(buffer, 0, pieceSize, index * pieceSize)
      .then(({ bytesRead }) => bytesRead)
    // One of the users is the read itself: who has left may have left it under way.
    const piece: Piece = { key, buffer, length, users: 2 }
    this.#pieces.set(key, piece)
    length.then(
      (bytes) => {
        if (bytes < expected) this.#forget(piece)
        this.release(piece)
      },
      () => {
        this.#forget(piece)
        this.release(piece)
      },
    )
    return piece
  }

  release(piece: Piece): void {
    piece.users -= 1
    if (piece.users === 0 && this.#pieces.get(piece.key) !== piece) this.#free.push(piece.buffer)
  }

  /** What was not read as it should be is read again for the next. */
  #forget(piece: Piece): void {
    if (this.#pieces.get(piece.key) === piece) this.#pieces.delete(piece.key)
  }

  #buffer(): Buffer | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#made < mostBuffers) {
      this.#made += 1
      return Buffer.allocUnsafeSlow(pieceSize)
    }
    for (const { key, users, buffer } of this.#pieces.values()) {
      if (users > 0) continue
      this.#pieces.delete(key)
      return buffer
    }
    return undefined
  }
}
