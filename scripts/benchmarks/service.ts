/** Starts services for benchmarks, and makes webhooks for them. */
import { type LogLine, Slipway } from '../../test/support/slipway.ts'
import { type SignedWebhook, signedWebhook } from '../../test/support/webhook.ts'

const secret = 'a secret between git and the registry'

/** Settings of a service that accepts the webhooks of this file and prebuilds no popular images. */
export const quietSettings = {
  SLIPWAY_WEBHOOK_SECRET: secret,
  SLIPWAY_PREBUILD_POPULAR: '0',
}

/** Returns the signed webhook that reports a push of a ref. */
export function webhookOf(ref: string): SignedWebhook {
  return signedWebhook(secret, ref)
}

/** Starts a service. @returns the service, and the milliseconds until it logged that it was ready */
export async function timedStart(
  settings: Record<string, string>,
): Promise<{ slipway: Slipway; milliseconds: number }> {
  const started = Date.now()
  const slipway = await Slipway.start(settings)
  const [ready] = slipway.logged('ready')
  return { slipway, milliseconds: (ready ? timeOf(ready) : Number.NaN) - started }
}

/** Returns the time of a log line in milliseconds since 1970. */
export function timeOf({ time }: LogLine): number {
  return Date.parse(String(time))
}
