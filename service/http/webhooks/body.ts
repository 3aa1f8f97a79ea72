/** The body of a request, whole and as it came. */
import type { IncomingMessage } from 'node:http'
import { messageOf } from '../../image/errors.ts'
import { Refusal } from './refusal.ts'

/** Bytes. The largest payloads list the commits of a push, some hundred bytes each, at most 2,048. */
const bodyLimit = 5 * 1024 * 1024

/** Milliseconds after which the hosting services themselves give a delivery up. */
export const defaultBodyTimeout = 10_000

// What is over the limit is not kept, but taken a little longer: most senders look at the answer when
// they have written everything, and would see a broken connection in its place.

/** Bytes in all: as many as GitHub ever sends. */
const mostTaken = 25 * 1024 * 1024
/** Milliseconds. */
const lingering = 2000

/**
 * @param timeout in milliseconds
 * @throws Refusal too-large, timed-out (the request may be incomplete then), broken-off
 */
export function readBody(request: IncomingMessage, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let kept = true
    const lateReason = `the payload was not there after ${timeout / 1000} seconds`
    let timer = setTimeout(() => reject(new Refusal('timed-out', lateReason)), timeout)
    const refuse = () =>
      reject(new Refusal('too-large', `the payload is larger than ${bodyLimit} bytes`))
    const drop = () => {
      kept = false
      chunks.length = 0
      clearTimeout(timer)
      timer = setTimeout(refuse, lingering)
    }
    const declared = Number(request.headers['content-length'])
    if (declared > mostTaken) refuse()
    if (declared > bodyLimit) drop()
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (kept && size > bodyLimit) drop()
      if (kept) chunks.push(chunk)
      if (size <= mostTaken) return
      request.pause()
      refuse()
    })
    request.on('end', () => (kept ? resolve(Buffer.concat(chunks)) : refuse()))
    request.on('error', (error) =>
      reject(new Refusal('broken-off', `the payload broke off: ${messageOf(error)}`)),
    )
    request.on('close', () => clearTimeout(timer))
  })
}
