/** `/api/…`: the contents of the status page as JSON. */
import type { Context } from 'koa'
import { Failure } from '../../image/errors.ts'
import { parseCount } from '../query.ts'
import type { Act } from '../route.ts'
import { sendJson } from '../send-json.ts'
import type { StatusServices } from '../services.ts'

/** Entries of a list if the client sends no `n`. */
const defaultLength = 100
/** Most entries of a list: a repository may have 20,000 tags. */
const maxLength = 10_000

interface ListRequest {
  /** Most entries in the list. */
  readonly length: number
}

/** @throws Failure paging-invalid */
export function parseListLength({ query }: Context): ListRequest {
  return { length: Math.min(parseCount(query.n) ?? defaultLength, maxLength) }
}

export function sendRefs({ refs }: StatusServices): Act<ListRequest> {
  return async (ctx, { length }) => {
    sendUncached(ctx, (await refs?.list(length)) ?? { refs: [], total: 0 })
  }
}

/** Omits the logs, which are long: `sendBuild` sends the log of one build. */
export function sendBuilds({ builds }: StatusServices): Act<ListRequest> {
  return (ctx, { length }) => {
    sendUncached(ctx, { builds: builds.recent(length).map(({ log: _, ...rest }) => rest) })
  }
}

export function parseBuildId(_: Context, id: string): { readonly id: string } {
  return { id }
}

export function sendBuild({ builds }: StatusServices): Act<{ readonly id: string }> {
  return async (ctx, { id }) => {
    const build = await builds.get(id)
    if (build === undefined) throw new Failure('route-unknown', `there is no ${ctx.path}`)
    sendUncached(ctx, build)
  }
}

export function requestRetry({ retry }: StatusServices): Act<object> {
  return (ctx) => {
    retry()
    ctx.status = 202
    sendUncached(ctx, { accepted: true })
  }
}

function sendUncached(ctx: Context, value: object): void {
  ctx.set('Cache-Control', 'no-store')
  sendJson(ctx, value)
}
