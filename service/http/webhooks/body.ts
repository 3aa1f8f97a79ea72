/** The body of a request, whole and as it came. */
import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** Bytes. The largest payloads list the commits of a push, some hundred bytes each, at most 2,048. */
const bodyLimit = 5 * 1024 * 1024

/** Milliseconds after which the hosting services themselves give a delivery up. */
export const defaultBodyTimeout = 10_000

/**
 * Reads no further than the limit, and no longer than the timeout (milliseconds).
 * @throws Refusal too-large, timed-out: the connection is then in the middle of a request
 * @throws Error ECONNRESET when the sender goes away
 */
export async function readBody(request: IncomingMessage, timeout: number): Promise<Buffer> {
  // Told beforehand, it need not be sent.
  if (Number(request.headers['content-length']) > bodyLimit) throw tooLarge()
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const reason = `the payload was not there after ${timeout / 1000} seconds`
    late.reject(new Refusal('timed-out', reason))
  }, timeout)
  const incoming = request.iterator({ destroyOnReturn: false })
  const chunks: Buffer[] = []
  let size = 0
  try {
    for (;;) {
      const { value, done } = await Promise.race([incoming.next(), late.promise])
      if (done) return Buffer.concat(chunks, size)
      size += value.length
      if (size > bodyLimit) throw tooLarge()
      chunks.push(value)
    }
  } finally {
    clearTimeout(timer)
  }
}

function tooLarge(): Refusal {
  return new Refusal('too-large', `the payload is larger than ${bodyLimit} bytes`)
}
