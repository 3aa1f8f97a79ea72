/** `/api/…`: what the status page shows, as JSON. Errors are `{"error": "what was wrong"}`. */

import type { Context, Middleware } from 'koa'
import type { BuildHistory } from '../../build/ports.ts'
import { Failure, messageOf, publicMessageOf } from '../../image/errors.ts'
import type { RefStates } from '../../prebuild/ports.ts'
import type { Log } from '../../telemetry/ports.ts'

export interface ApiServices {
  readonly builds: Pick<BuildHistory, 'recent' | 'get'>
  /** Absent for a source without refs. */
  readonly refs?: RefStates | undefined
  /** Forgets what does not build and asks for a reconcile; returns at once. */
  readonly retry: () => void
  readonly log: Log
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  /** Of the answer. */
  readonly status: number
  /**
   * @param part what the path captures
   * @returns undefined if there is no such thing
   */
  readonly answer: (ctx: Context, part: string) => Promise<object | undefined> | object | undefined
}

const prefix = '/api/'

/** Entries of a list when the client does not say, and at most: a repository may have 20,000 tags. */
const defaultCount = 100
const mostCount = 10_000

/** Seconds until a client should come back when the storage or git is out of reach. */
const retryAfter = 10

/** Middleware for everything under `/api/`. */
export function api(services: ApiServices): Middleware {
  const routes = routesOf(services)
  return async (ctx, next) => {
    if (!ctx.path.startsWith(prefix)) return next()
    ctx.set('Cache-Control', 'no-store')
    const found = routes.filter(({ path }) => path.test(ctx.path))
    const method = ctx.method === 'HEAD' ? 'GET' : ctx.method
    const route = found.find((candidate) => candidate.method === method)
    if (route === undefined) return refuse(ctx, found)
    // A browser says where a request comes from: other people's pages are not to start work here.
    if (method === 'POST' && ctx.get('Sec-Fetch-Site') === 'cross-site') {
      return send(ctx, 403, { error: 'a page of another site may not ask for this' })
    }
    try {
      const body = await route.answer(ctx, route.path.exec(ctx.path)?.[1] ?? '')
      if (body === undefined) send(ctx, 404, { error: `there is no ${ctx.path}` })
      else send(ctx, route.status, body)
    } catch (error) {
      sendError(ctx, error, services.log)
    }
  }
}

function routesOf({ builds, refs, retry }: ApiServices): Route[] {
  return [
    {
      method: 'GET',
      path: /^\/api\/refs$/,
      status: 200,
      answer: (ctx) => refs?.list(countOf(ctx)) ?? { refs: [], total: 0 },
    },
    {
      method: 'GET',
      path: /^\/api\/builds$/,
      status: 200,
      // Logs are long: each is shown with its own build.
      answer: (ctx) => ({ builds: builds.recent(countOf(ctx)).map(({ log: _, ...rest }) => rest) }),
    },
    {
      method: 'GET',
      path: /^\/api\/builds\/([^/]+)$/,
      status: 200,
      answer: (_, id) => builds.get(id),
    },
    {
      method: 'POST',
      path: /^\/api\/retry$/,
      status: 202,
      answer: () => {
        retry()
        return { accepted: true }
      },
    },
  ]
}

/** Nothing of this method answers at the path. */
function refuse(ctx: Context, found: readonly Route[]): void {
  const allowed = found.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  if (allowed.length > 0) {
    const methods = allowed.join(', ')
    ctx.set('Allow', methods)
    send(ctx, 405, { error: `${ctx.path} takes ${methods}, not ${ctx.method}` })
  } else {
    const paths = '/api/refs, /api/builds, /api/builds/<id>, POST /api/retry'
    send(ctx, 404, { error: `there is no ${ctx.path}; there is ${paths}` })
  }
}

/**
 * The query's `n`.
 * @throws Failure paging-invalid
 */
function countOf(ctx: Context): number {
  const n = [ctx.query.n].flat()[0]
  if (n === undefined) return defaultCount
  if (/^\d{1,9}$/.test(n)) return Math.min(Number(n), mostCount)
  throw new Failure('paging-invalid', `n="${n}" is not a number of entries: 0 or more`)
}

function sendError(ctx: Context, thrown: unknown, log: Log): void {
  const { status, error } = answerTo(thrown)
  const fields = { method: ctx.method, path: ctx.path, status, failure: messageOf(thrown) }
  if (status === 500) log.error({ ...fields, err: thrown }, 'request failed')
  if (status === 503) {
    log.warn(fields, 'request failed')
    ctx.set('Retry-After', String(retryAfter))
  }
  send(ctx, status, { error })
}

function answerTo(thrown: unknown): { status: number; error: string } {
  if (thrown instanceof Failure && thrown.kind === 'paging-invalid') {
    return { status: 400, error: thrown.message }
  }
  if (thrown instanceof Failure && thrown.kind === 'unavailable') {
    return { status: 503, error: thrown.message }
  }
  return { status: 500, error: publicMessageOf(thrown) }
}

function send(ctx: Context, status: number, body: object): void {
  ctx.status = status
  ctx.set('Content-Type', 'application/json')
  ctx.body = Buffer.from(JSON.stringify(body))
}
