/** Reading a file for somebody who passes it on: the next piece while the one before is taken. */

import type { FileHandle } from 'node:fs/promises'
import type { ByteRange } from '../../storage/ports.ts'
import { type Piece, PieceCache, pieceSize } from './piece-cache.ts'

/** Bytes of the buffer of a reader for whom the cache has none left: there are many, and most of them slow. */
const ownSize = 32 * 1024

const cache = new PieceCache()

/** @param take gets each piece, which is good until it resolves */
export async function readPieces(
  file: FileHandle,
  range: ByteRange | undefined,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const { dev, ino, size, mtimeNs } = await file.stat({ bigint: true })
  const identity = `${dev}:${ino}:${size}:${mtimeNs}`
  const end = Math.min(Number(size), range === undefined ? Infinity : range.end + 1)
  let position = range?.start ?? 0
  let own: Buffer | undefined
  const pieceAt = (at: number): Piece | undefined => {
    if (at >= end) return undefined
    const index = Math.floor(at / pieceSize)
    const expected = Math.min(pieceSize, Number(size) - index * pieceSize)
    return cache.acquire(file, identity, index, expected)
  }
  let next = pieceAt(position)
  try {
    while (position < end) {
      const piece = next ?? pieceAt(position)
      const offset = position % pieceSize
      const toEnd = end - position
      if (piece === undefined) {
        own ??= Buffer.allocUnsafeSlow(ownSize)
        const wanted = Math.min(ownSize, pieceSize - offset, toEnd)
        const { bytesRead } = await file.read(own, 0, wanted, position)
        if (bytesRead === 0) return
        position += bytesRead
        await take(own.subarray(0, bytesRead))
        continue
      }
      next = undefined
      try {
        const bytes = piece.buffer.subarray(offset, Math.min(await piece.length, offset + toEnd))
        if (bytes.length === 0) return
        position += bytes.length
        next = pieceAt(position)
        await take(bytes)
      } finally {
        cache.release(piece)
      }
    }
  } finally {
    if (next) cache.release(next)
  }
}
