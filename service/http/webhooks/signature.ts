/** Proofs that a sender knows the secret. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

const hexDigest = /^[0-9a-f]{64}$/i

/** Whether the text is the HMAC-SHA-256 of the bytes, in hex. */
export function isHmac(text: string, body: Buffer, secret: string): boolean {
  if (!hexDigest.test(text)) return false
  const expected = createHmac('sha256', secret).update(body).digest()
  return timingSafeEqual(Buffer.from(text, 'hex'), expected)
}

/**
 * Whether a header's value is the secret. Digests are compared, so that the time tells nothing of the
 * length either.
 */
export function isSecret(header: string, secret: string): boolean {
  // Node reads headers as Latin-1; the sender wrote UTF-8.
  return timingSafeEqual(digest(Buffer.from(header, 'latin1')), digest(Buffer.from(secret)))
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
