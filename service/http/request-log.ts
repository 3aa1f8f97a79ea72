/** Logs each request in a debug line. */
import type { Middleware } from 'koa'
import type { Log } from '../telemetry/ports.ts'

export function logRequests(log: Log): Middleware {
  return async (ctx, next) => {
    const start = performance.now()
    await next()
    log.debug(requestFields(ctx.method, ctx.path, ctx.status, start), 'request')
  }
}

/** @param start of the request, by performance.now() */
export function requestFields(
  method: string | undefined,
  path: string | undefined,
  status: number,
  start: number,
): object {
  const milliseconds = Math.round((performance.now() - start) * 100) / 100
  return { method, path, status, milliseconds }
}
