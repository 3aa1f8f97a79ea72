/** The HTTP application: the answer cache, then Koa with the route table. */
import type { RequestListener } from 'node:http'
import Koa from 'koa'
import { AnswerCache } from './answer-cache.ts'
import { answerErrors } from './errors.ts'
import { apiVersion } from './registry/base.ts'
import { logRequests } from './request-log.ts'
import { routing } from './router.ts'
import { routes } from './routes.ts'
import type { HttpServices } from './services.ts'

/** Codes of the errors that Node throws when the client has closed the connection. */
const clientLeftCodes = new Set<string | undefined>([
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ECONNRESET',
  'EPIPE',
  'HPE_INVALID_EOF_STATE',
])

export function createApp(services: HttpServices): RequestListener {
  const { authorise, log } = services
  const app = new Koa()
  const answers = new AnswerCache(authorise, log)
  app.use(logRequests(log))
  app.use(answers.store)
  app.use(apiVersion)
  app.use(answerErrors(log))
  for (const middleware of routing(routes(services))) app.use(middleware)
  // Koa reports the error of a stream twice: for the stream, and for the answer that it ended.
  const reported = new WeakSet<object>()
  app.on('error', (error: NodeJS.ErrnoException) => {
    if (reported.has(error)) return
    reported.add(error)
    // A client may go away in the middle of a blob: that is no failure of the service.
    if (clientLeftCodes.has(error.code)) log.debug({ failure: error.message }, 'client went away')
    else log.error({ err: error }, 'answer failed')
  })
  return answers.before(app.callback())
}
