/** Small objects of the storage, read whole. */
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Failure, messageOf } from '../domain/errors.ts'

/** Seconds after which a storage that broke off may be back. */
const retryAfter = 10

/**
 * All bytes of a stored object.
 * @throws Failure unavailable when they stop coming: the object may be whole and well all the same
 */
export async function readWhole(stream: Readable): Promise<Buffer> {
  try {
    return await buffer(stream)
  } catch (cause) {
    throw new Failure('unavailable', `the storage broke off: ${messageOf(cause)}`, {
      retryAfter,
      cause,
    })
  }
}
