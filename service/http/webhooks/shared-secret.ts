/** Checks of the shared secret. GitHub's signature is checked by @octokit/webhooks. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

const hexDigest = /^[0-9a-f]{64}$/i

/** Returns whether the text is the HMAC-SHA-256 of the bytes, in hex. */
export function isHmac(text: string, body: Buffer, secret: string): boolean {
  if (!hexDigest.test(text)) return false
  const expected = createHmac('sha256', secret).update(body).digest()
  return timingSafeEqual(Buffer.from(text, 'hex'), expected)
}

/**
 * Returns whether the value of a header is the secret. Compares digests, so that the time reveals nothing
 * about the length of the secret either.
 */
export function isSecret(header: string, secret: string): boolean {
  // Node reads headers as Latin-1; the sender wrote UTF-8.
  return timingSafeEqual(digest(Buffer.from(header, 'latin1')), digest(Buffer.from(secret)))
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
