/**
 * Reading a file for somebody who passes it on: into the same buffers again and again, the next piece while
 * the one before is taken. Buffers that were just filled are still in the processor's cache when they are
 * sent, and none of them is garbage afterwards.
 */
import type { FileHandle } from 'node:fs/promises'
import type { ByteRange } from '../domain/ports.ts'

/** Bytes of a piece. */
const largePiece = 256 * 1024
/** When many read at once, and most of them slowly, all of their buffers together matter. */
const smallPiece = 32 * 1024
const manyReaders = 8
/** Buffers kept for the next reader: 4 MiB. */
const mostIdle = 16

const idle: Buffer[] = []
let readers = 0

/** @param take gets each piece, which is good until it resolves */
export async function readPieces(
  file: FileHandle,
  range: ByteRange | undefined,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const end = range === undefined ? Number.POSITIVE_INFINITY : range.end + 1
  let position = range?.start ?? 0
  readers += 1
  const size = readers > manyReaders ? smallPiece : largePiece
  const buffers = [bufferOf(size), bufferOf(size)] as const
  const read = async (buffer: Buffer): Promise<Uint8Array> => {
    const length = Math.min(size, end - position)
    const { bytesRead } = await file.read(buffer, 0, length, position)
    position += bytesRead
    return buffer.subarray(0, bytesRead)
  }
  let next = read(buffers[0])
  try {
    for (let turn = 1; ; turn++) {
      const piece = await next
      if (piece.length === 0) return
      next = read(buffers[turn % 2] as Buffer)
      // Taking may fail first, and is then what is told.
      next.catch(() => {})
      await take(piece)
    }
  } finally {
    // Nobody may get a buffer that is still being filled.
    await next.catch(() => {})
    readers -= 1
    if (size === largePiece && idle.length < mostIdle) idle.push(...buffers)
  }
}

function bufferOf(size: number): Buffer {
  return (size === largePiece && idle.pop()) || Buffer.allocUnsafeSlow(size)
}
