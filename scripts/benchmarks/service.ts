/** What the measurements do with a service besides asking it for images. */
import { createHmac } from 'node:crypto'
import { type LogLine, Slipway } from '../../test/support/slipway.ts'
import type { Question } from './client.ts'

const secret = 'a secret between git and the registry'

/** Settings under which a service takes the webhooks of this file, and builds nothing unasked. */
export const quietSettings = {
  SLIPWAY_WEBHOOK_SECRET: secret,
  SLIPWAY_PREBUILD_POPULAR: '0',
}

/** The generic webhook that tells of a push of a ref, signed. */
export function webhookOf(ref: string): Question {
  const body = JSON.stringify({ ref })
  const signature = createHmac('sha256', secret).update(body).digest('hex')
  return {
    method: 'POST',
    path: '/webhooks/generic',
    headers: { 'Content-Type': 'application/json', 'X-Signature-256': `sha256=${signature}` },
    body,
  }
}

/** Starts a service. @returns it, and the milliseconds until it was ready by its own log */
export async function timedStart(
  settings: Record<string, string>,
): Promise<{ slipway: Slipway; milliseconds: number }> {
  const started = Date.now()
  const slipway = await Slipway.start(settings)
  const [ready] = slipway.logged('ready')
  return { slipway, milliseconds: (ready ? timeOf(ready) : Number.NaN) - started }
}

/** When a line was written; milliseconds since 1970. */
export function timeOf({ time }: LogLine): number {
  return Date.parse(String(time))
}
