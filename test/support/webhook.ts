/** Signed webhooks of a plain git server, as scripts/post-receive sends them. */
import { createHmac } from 'node:crypto'
import type { Slipway } from './slipway.ts'

export interface SignedWebhook {
  readonly method: 'POST'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** Returns the request that reports a push of a ref. */
export function signedWebhook(secret: string, ref: string): SignedWebhook {
  const body = JSON.stringify({ ref })
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  return {
    method: 'POST',
    path: '/webhooks/generic',
    headers: { 'Content-Type': 'application/json', 'X-Signature-256': `sha256=${signature}` },
    body,
  }
}

/** Sends a webhook. @returns the status of the response */
export async function sendWebhook(
  slipway: Slipway,
  secret: string,
  ref = 'refs/heads/main',
): Promise<number> {
  const { path, ...request } = signedWebhook(secret, ref)
  const response = await slipway.fetch(path, request)
  await response.text()
  return response.status
}
