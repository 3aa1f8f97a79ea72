/**
 * Answers that were given before, ready to be given again: a warm pull is a look into a map. Which those
 * are is said by the routes, through `prepare`; what they say is whatever Koa sent the first time.
 *
 *     request ──► known, and still true? ──yes──► the same head and bytes
 *                        │ no
 *                        ▼
 *                   Koa: routes ──► answer ──► kept, if a route says how long it is true
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Context, Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import type { Log } from '../telemetry/ports.ts'

/** Bytes of answers in memory. */
const memory = 48 * 1024 * 1024
/** Characters of a URL and an Accept header: those of clients have some hundreds. */
const longestKey = 1500
/** Bytes that an answer takes besides its body. */
const overhead = 1500

/** What a route knows of its answer. */
export interface Lasting {
  /** Whether the same request would be answered the same. */
  isTrue(): boolean
  /** Told of each time that it is given again. @param bytes of the body that were sent */
  onServed(clientAddress: string, bytes: number): void
}

interface Prepared extends Lasting {
  /** Names and values in turn, as writeHead takes them. */
  readonly head: readonly string[]
  /** The same for an answer without content. */
  readonly unchangedHead: readonly string[]
  readonly etag: string | undefined
  readonly body: Buffer
}

/** Of the content, and so not part of a 304 (RFC 9110, 15.4.5). */
const contentHeaders = new Set(['content-type', 'content-length'])

/** Says of the answer of this request that it may be given again. */
export function prepare(ctx: Context, lasting: Lasting): void {
  ctx.state.lasting = lasting
}

export class PreparedAnswers {
  readonly #log: Log
  readonly #answers = new LRUCache<string, Prepared>({
    maxSize: memory,
    sizeCalculation: ({ body }, key) => body.length + key.length + overhead,
  })

  constructor(log: Log) {
    this.#log = log
  }

  /** Answers what is prepared, and leaves the rest to the application. */
  before(application: RequestListener): RequestListener {
    return (request, response) => {
      if (!this.#serve(request, response)) application(request, response)
    }
  }

  /** Keeps the answers of which a route says that they last. */
  readonly keep: Middleware = async (ctx, next) => {
    await next()
    const lasting: Lasting | undefined = ctx.state.lasting
    if (lasting === undefined || ctx.status !== 200 || !Buffer.isBuffer(ctx.body)) return
    // Nobody who means a pull asks like that; whoever does must not push out what others ask for.
    if (keyOf(ctx.req).length > longestKey) return
    const all = { ...ctx.response.headers, 'content-length': ctx.body.length }
    const headers = Object.entries(all).map(([name, value]) => [name, String(value)] as const)
    this.#answers.set(keyOf(ctx.req), {
      head: headers.flat(),
      unchangedHead: headers.filter(([name]) => !contentHeaders.has(name)).flat(),
      etag: ctx.response.get('ETag') || undefined,
      body: ctx.body,
      isTrue: () => lasting.isTrue(),
      onServed: (address, bytes) => lasting.onServed(address, bytes),
    })
  }

  #serve(request: IncomingMessage, response: ServerResponse): boolean {
    const { method, headers } = request
    if (method !== 'GET' && method !== 'HEAD') return false
    // A part, or a condition other than the one below, is for the routes to judge.
    if (headers.range !== undefined || headers['cache-control'] !== undefined) return false
    const key = keyOf(request)
    const answer = this.#answers.get(key)
    if (answer === undefined) return false
    if (!answer.isTrue()) {
      this.#answers.delete(key)
      return false
    }
    const condition = headers['if-none-match']
    if (condition !== undefined && condition !== answer.etag) return false
    const start = performance.now()
    const status = condition === undefined ? 200 : 304
    const sent = status === 200 && method === 'GET' ? answer.body : undefined
    response.writeHead(status, [...(status === 200 ? answer.head : answer.unchangedHead)])
    response.end(sent)
    answer.onServed(request.socket.remoteAddress ?? '', sent?.length ?? 0)
    const milliseconds = Math.round((performance.now() - start) * 100) / 100
    this.#log.debug({ method, path: request.url, status, milliseconds }, 'request')
    return true
  }
}

/** Which of several types is sent depends on Accept, and nothing depends on any other header. */
function keyOf({ url, headers: { accept } }: IncomingMessage): string {
  return accept === undefined ? (url ?? '') : `${url}\n${accept}`
}
