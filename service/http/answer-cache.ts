/**
 * Cache of whole answers, in front of Koa: a warm pull is a lookup in a map. A route decides which answers
 * are cached, and for how long, by `cacheAnswer`. The bytes are those that Koa sent the first time.
 *
 *     request ──► cached and fresh? ──yes──► authorised? ──yes──► the same head and body
 *                        │ no                     │ no
 *                        ▼                        ▼
 *                   Koa: routes ──► answer ──► stored, if the route has called cacheAnswer
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Context, Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import type { ImageName } from '../image/image-name.ts'
import type { Log } from '../telemetry/ports.ts'
import { type Authorise, accessRequestOf } from './authorise.ts'
import { requestFields } from './request-log.ts'

/** Most bytes of all cached answers. */
const cacheSize = 48 * 1024 * 1024
/** Most characters of a URL and an Accept header together. Real clients send a few hundred. */
const longestKey = 1500
/** Bytes of memory that an answer takes in addition to its key and its body. */
const overhead = 1500

/** Rule for how long an answer may be sent again. */
export interface CachePolicy {
  /** The image that the request names: access is checked each time. */
  readonly name: ImageName
  /** Returns whether the route would send the same answer now. */
  isFresh(): boolean
  /** Called each time that the answer is sent again. @param bytes of the body that were sent */
  onServed(clientAddress: string, bytes: number): void
}

interface CachedAnswer {
  readonly policy: CachePolicy
  /** Names and values in turn, as writeHead takes them. */
  readonly head: readonly string[]
  /** The head of a 304. */
  readonly unchangedHead: readonly string[]
  readonly etag: string | undefined
  readonly body: Buffer
}

/** Headers that a 304 does not have (RFC 9110, 15.4.5). */
const contentHeaders = new Set(['content-type', 'content-length'])

/** Caches the answer to this request, if it becomes a 200 whose body is a Buffer. */
export function cacheAnswer(ctx: Context, policy: CachePolicy): void {
  ctx.state.cachePolicy = policy
}

export class AnswerCache {
  readonly #authorise: Authorise
  readonly #log: Log
  readonly #answers = new LRUCache<string, CachedAnswer>({
    maxSize: cacheSize,
    sizeCalculation: ({ body }, key) => body.length + key.length + overhead,
  })

  constructor(authorise: Authorise, log: Log) {
    this.#authorise = authorise
    this.#log = log
  }

  /** Answers from the cache, and passes all other requests to the application. */
  before(application: RequestListener): RequestListener {
    return (request, response) => {
      const answer = this.#find(request)
      if (answer === undefined) return application(request, response)
      const access = accessRequestOf(request, answer.policy.name)
      // A denied request goes to its route, which authorises it again and answers with the failure.
      let waiting: Promise<void> | void
      try {
        waiting = this.#authorise(access)
      } catch {
        return application(request, response)
      }
      if (waiting === undefined) return this.#send(request, response, answer, access.address)
      waiting.then(
        () =>
          answer.policy.isFresh()
            ? this.#send(request, response, answer, access.address)
            : application(request, response),
        () => application(request, response),
      )
    }
  }

  /** Middleware that stores the answers for which a route has called `cacheAnswer`. */
  readonly store: Middleware = async (ctx, next) => {
    await next()
    const policy: CachePolicy | undefined = ctx.state.cachePolicy
    if (policy === undefined || ctx.status !== 200 || !Buffer.isBuffer(ctx.body)) return
    // No real client sends such a long request, and it must not displace other answers.
    if (keyOf(ctx.req).length > longestKey) return
    const all = { ...ctx.response.headers, 'content-length': ctx.body.length }
    const headers = Object.entries(all).map(([name, value]) => [name, String(value)] as const)
    this.#answers.set(keyOf(ctx.req), {
      policy,
      head: headers.flat(),
      unchangedHead: headers.filter(([name]) => !contentHeaders.has(name)).flat(),
      etag: ctx.response.get('ETag') || undefined,
      body: ctx.body,
    })
  }

  #find(request: IncomingMessage): CachedAnswer | undefined {
    const { method, headers } = request
    if (method !== 'GET' && method !== 'HEAD') return undefined
    // Ranges, and conditions other than the ETag of this answer, are left to the route.
    if (headers.range !== undefined || headers['cache-control'] !== undefined) return undefined
    const key = keyOf(request)
    const answer = this.#answers.get(key)
    if (answer === undefined) return undefined
    if (!answer.policy.isFresh()) {
      this.#answers.delete(key)
      return undefined
    }
    const condition = headers['if-none-match']
    return condition === undefined || condition === answer.etag ? answer : undefined
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    answer: CachedAnswer,
    clientAddress: string,
  ): void {
    const start = performance.now()
    const { method, headers } = request
    const status = headers['if-none-match'] === undefined ? 200 : 304
    const sent = status === 200 && method === 'GET' ? answer.body : undefined
    response.writeHead(status, [...(status === 200 ? answer.head : answer.unchangedHead)])
    response.end(sent)
    answer.policy.onServed(clientAddress, sent?.length ?? 0)
    this.#log.debug(requestFields(method, request.url, status, start), 'request')
  }
}

/** The answer depends on the URL and, through the media type, on Accept; on no other header. */
function keyOf({ url, headers: { accept } }: IncomingMessage): string {
  return accept === undefined ? (url ?? '') : `${url}\n${accept}`
}
