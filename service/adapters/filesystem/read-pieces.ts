/** Reads a file piece by piece: the next piece is read while the current one is sent. */

import type { FileHandle } from 'node:fs/promises'
import type { ByteRange } from '../../storage/ports.ts'
import { type Block, BlockCache, blockSize } from './block-cache.ts'

/** Bytes of a reader's own buffer while the cache is full. Then there are many readers, most of them slow. */
const ownBufferSize = 32 * 1024

const cache = new BlockCache()

/** @param take receives each piece, which is valid until `take` has resolved */
export async function readPieces(
  file: FileHandle,
  range: ByteRange | undefined,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const { dev, ino, size, mtimeNs } = await file.stat({ bigint: true })
  const identity = `${dev}:${ino}:${size}:${mtimeNs}`
  const end = Math.min(Number(size), range === undefined ? Infinity : range.end + 1)
  let position = range?.start ?? 0
  let own: Buffer | undefined
  const blockAt = (at: number): Block | undefined => {
    if (at >= end) return undefined
    const index = Math.floor(at / blockSize)
    const expected = Math.min(blockSize, Number(size) - index * blockSize)
    return cache.acquire(file, identity, index, expected)
  }
  let next = blockAt(position)
  try {
    while (position < end) {
      const block = next ?? blockAt(position)
      const offset = position % blockSize
      const toEnd = end - position
      if (block === undefined) {
        own ??= Buffer.allocUnsafeSlow(ownBufferSize)
        const wanted = Math.min(ownBufferSize, blockSize - offset, toEnd)
        const { bytesRead } = await file.read(own, 0, wanted, position)
        if (bytesRead === 0) return
        position += bytesRead
        await take(own.subarray(0, bytesRead))
        continue
      }
      next = undefined
      try {
        const piece = block.buffer.subarray(offset, Math.min(await block.length, offset + toEnd))
        if (piece.length === 0) return
        position += piece.length
        next = blockAt(position)
        await take(piece)
      } finally {
        cache.release(block)
      }
    }
  } finally {
    if (next) cache.release(next)
  }
}
