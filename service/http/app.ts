/** The HTTP application: who answers what, in order. */

import type { RequestListener } from 'node:http'
import Koa from 'koa'
import type { ObjectStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { health } from './ops/health.ts'
import { PreparedAnswers } from './prepared-answers.ts'
import { type RegistryServices, registry } from './registry/registry.ts'

/** What Node calls it when the other end closes the connection. */
const goneCodes = new Set<string | undefined>([
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ECONNRESET',
  'EPIPE',
  'HPE_INVALID_EOF_STATE',
])

export interface AppServices extends RegistryServices {
  readonly storage: Pick<ObjectStore, 'outage'>
}

/** @param others middleware for what else the service answers */
export function createApp(services: AppServices, ...others: Koa.Middleware[]): RequestListener {
  const app = new Koa()
  const prepared = new PreparedAnswers(services.log)
  app.use(requestLog(services.log))
  app.use(prepared.keep)
  app.use(registry(services))
  app.use(health(services.source, services.storage))
  for (const other of others) app.use(other)
  // Koa reports the error of a stream twice: from the stream, and from the answer that it ended.
  const reported = new WeakSet<object>()
  app.on('error', (error: NodeJS.ErrnoException) => {
    if (reported.has(error)) return
    reported.add(error)
    // A client that goes away in the middle of a blob is its own affair.
    if (goneCodes.has(error.code)) services.log.debug({ error: error.message }, 'client went away')
    else services.log.error({ err: error }, 'answer failed')
  })
  return prepared.before(app.callback())
}

function requestLog(log: Log): Koa.Middleware {
  return async (ctx, next) => {
    const start = performance.now()
    await next()
    const milliseconds = Math.round((performance.now() - start) * 100) / 100
    log.debug({ method: ctx.method, path: ctx.path, status: ctx.status, milliseconds }, 'request')
  }
}
