/** Reads the body of a delivery. */
import type { IncomingMessage } from 'node:http'
import { Failure, type FailureKind, messageOf } from '../../image/errors.ts'

/** Bytes. The largest payloads list the commits of a push: at most 2,048, some hundred bytes each. */
const maxBody = 5 * 1024 * 1024

/** Milliseconds after which the hosting services themselves give up a delivery. */
export const defaultBodyTimeout = 10_000

// A body over the limit is dropped, but its rest is read for a while. Most senders read the answer only after
// they have written the whole body, and would otherwise report a broken connection.

/** Most bytes that are read of a body: GitHub sends no more. */
const maxRead = 25 * 1024 * 1024
/** Milliseconds for which the rest of a body over the limit is read. */
const drainTime = 2000

/**
 * Returns the whole body, as bytes.
 * @param timeout in milliseconds
 * @throws Failure too-large, timed-out (the request may then be incomplete), broken-off
 */
export function readBody(request: IncomingMessage, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    let isKept = true
    const fail = (kind: FailureKind, message: string) => reject(new Failure(kind, message))
    const failTimedOut = () =>
      fail('timed-out', `the payload did not arrive within ${timeout / 1000} seconds`)
    const failTooLarge = () => fail('too-large', `the payload is larger than ${maxBody} bytes`)
    let timer = setTimeout(failTimedOut, timeout)
    const drop = () => {
      isKept = false
      pieces.length = 0
      clearTimeout(timer)
      timer = setTimeout(failTooLarge, drainTime)
    }
    const declared = Number(request.headers['content-length'])
    if (declared > maxRead) failTooLarge()
    if (declared > maxBody) drop()
    request.on('data', (piece: Buffer) => {
      size += piece.length
      if (isKept && size > maxBody) drop()
      if (isKept) pieces.push(piece)
      if (size <= maxRead) return
      request.pause()
      failTooLarge()
    })
    request.on('end', () => (isKept ? resolve(Buffer.concat(pieces)) : failTooLarge()))
    request.on('error', (error) => fail('broken-off', `the payload broke off: ${messageOf(error)}`))
    request.on('close', () => clearTimeout(timer))
  })
}
