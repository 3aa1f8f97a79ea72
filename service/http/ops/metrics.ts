/** `GET /metrics`, for Prometheus. */
import type { Act } from '../route.ts'
import type { OpsServices } from '../services.ts'

export function sendMetrics({ metrics }: OpsServices): Act<object> {
  return async (ctx) => {
    // As bytes, because Koa would add a charset to the type of a text.
    const body = Buffer.from(await metrics.text())
    ctx.set({ 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' })
    ctx.body = body
  }
}
