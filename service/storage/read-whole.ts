/** Small objects of the storage, read whole. */
import type { Readable } from 'node:stream'
import { Failure, messageOf } from '../image/errors.ts'

/** Seconds after which a storage that broke off may be back. */
const retryAfter = 10

/**
 * All bytes of a stored object.
 * @throws Failure unavailable when they stop coming: the object may be whole and well all the same
 */
export async function readWhole(stream: Readable): Promise<Buffer> {
  return (await readUpTo(Number.POSITIVE_INFINITY, stream)) as Buffer
}

/**
 * The same of an object that has no more than so many bytes; undefined if it has more.
 * @throws Failure unavailable
 */
export async function readUpTo(limit: number, stream: Readable): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  try {
    for await (const piece of stream) {
      size += piece.length
      // Leaving the loop ends the stream.
      if (size > limit) return undefined
      pieces.push(piece)
    }
  } catch (cause) {
    throw brokenOff(cause)
  }
  return Buffer.concat(pieces, size)
}

/** The object may be whole and well all the same. */
export function brokenOff(cause: unknown): Failure {
  const message = `the storage broke off: ${messageOf(cause)}`
  return new Failure('unavailable', message, { retryAfter, cause })
}
