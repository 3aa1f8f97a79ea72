/** Liveness and readiness probes. */
import type { Context } from 'koa'
import type { Act } from '../route.ts'
import type { OpsServices } from '../services.ts'

/** `/healthz`: the process answers. */
export function sendLiveness(ctx: Context): void {
  ctx.body = { status: 'ok' }
}

/**
 * `/readyz`: the process can resolve tags. The body names each part that fails. An instance whose storage is
 * out of reach stays ready, because it still answers from memory. If no instance were ready, a load balancer
 * would answer nothing.
 */
export function sendReadiness({ source, storage }: OpsServices): Act<object> {
  return (ctx) => {
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
