/** Liveness and readiness, for whoever runs the service. */

import type { Middleware } from 'koa'
import type { Source } from '../../source/ports.ts'
import type { ObjectStore } from '../../storage/ports.ts'

/**
 * `/healthz`: the process answers. `/readyz`: it can resolve tags; what is wrong stands in the body. An
 * instance whose storage is out of reach stays ready: it goes on answering from memory, which is more
 * than a balancer without any instance can do.
 */
export function health(source: Source, storage: Pick<ObjectStore, 'outage'>): Middleware {
  return async (ctx, next) => {
    if (ctx.path === '/healthz') {
      ctx.body = { status: 'ok' }
      return
    }
    if (ctx.path !== '/readyz') return next()
    const status = source.status()
    ctx.status = status.ready ? 200 : 503
    ctx.set('Cache-Control', 'no-store')
    const failure = storage.outage()
    ctx.body = {
      status: status.ready ? 'ready' : 'not ready',
      source: status,
      storage: failure === undefined ? { reachable: true } : { reachable: false, failure },
    }
  }
}
