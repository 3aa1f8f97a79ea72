/** `GET /metrics`: what Prometheus scrapes. */
import type { Middleware } from 'koa'

export interface MetricsText {
  readonly contentType: string
  text(): Promise<string>
}

export function metrics(source: MetricsText): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/metrics') return next()
    ctx.set('Cache-Control', 'no-store')
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      ctx.status = 405
      ctx.body = { error: `metrics are read with GET, not ${ctx.method}` }
      return
    }
    // As bytes: Koa would settle the type of a string itself.
    const body = Buffer.from(await source.text())
    ctx.set('Content-Type', source.contentType)
    ctx.body = body
  }
}
