/** Reads the stream of a stored object. */
import type { Readable } from 'node:stream'
import { Failure, messageOf } from '../image/errors.ts'

/** Seconds after which a storage that broke a connection may work again. */
const retryAfter = 10

/** Returns all bytes of an object. @throws Failure unavailable when the stream breaks off */
export async function readObject(stream: Readable): Promise<Buffer> {
  return (await readObjectUpTo(Number.POSITIVE_INFINITY, stream)) as Buffer
}

/**
 * Returns all bytes of an object, or undefined if it has more than `limit` bytes.
 * @throws Failure unavailable when the stream breaks off
 */
export async function readObjectUpTo(limit: number, stream: Readable): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  try {
    for await (const piece of stream) {
      size += piece.length
      // Leaving the loop destroys the stream.
      if (size > limit) return undefined
      pieces.push(piece)
    }
  } catch (cause) {
    throw brokenStream(cause)
  }
  return Buffer.concat(pieces, size)
}

/** Returns the failure of a stream that broke off. The stored object itself may be undamaged. */
export function brokenStream(cause: unknown): Failure {
  const message = `the storage broke off the transfer: ${messageOf(cause)}`
  return new Failure('unavailable', message, { retryAfter, cause })
}
