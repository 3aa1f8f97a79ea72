/** Liveness and readiness, for whoever runs the service. */
import type { Middleware } from 'koa'
import type { Source } from '../domain/source.ts'

/** `/healthz`: the process answers. `/readyz`: it can resolve tags; what is wrong stands in the body. */
export function health(source: Source): Middleware {
  return async (ctx, next) => {
    if (ctx.path === '/healthz') {
      ctx.body = { status: 'ok' }
      return
    }
    if (ctx.path !== '/readyz') return next()
    const status = source.status()
    ctx.status = status.ready ? 200 : 503
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { status: status.ready ? 'ready' : 'not ready', source: status }
  }
}
