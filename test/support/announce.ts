/** A signed webhook of a plain git server, as scripts/post-receive sends it. */
import { createHmac } from 'node:crypto'
import type { Slipway } from './slipway.ts'

/** @returns the status of the answer */
export async function announce(
  slipway: Slipway,
  secret: string,
  ref = 'refs/heads/main',
): Promise<number> {
  const body = JSON.stringify({ ref })
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  const response = await slipway.fetch('/webhooks/generic', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Signature-256': `sha256=${signature}` },
    body,
  })
  await response.text()
  return response.status
}
