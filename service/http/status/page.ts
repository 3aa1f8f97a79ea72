/** `GET /`: the state of the service on one page that needs no scripts. */

import { createHash } from 'node:crypto'
import type { Context, Middleware } from 'koa'
import type { BuildHistory } from '../../build/ports.ts'
import { messageOf } from '../../image/errors.ts'
import type { RefStateList, RefStates } from '../../prebuild/ports.ts'
import type { Source } from '../../source/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import { statusStyle } from './style.ts'
import { statusView } from './view.ts'

export interface StatusPageOptions {
  readonly builds: Pick<BuildHistory, 'recent'>
  /** Absent for a source without refs. */
  readonly refs?: RefStates | undefined
  readonly source: Pick<Source, 'status'>
  /** How clients reach the service; absent to believe the `Host` that they send. */
  readonly publicUrl?: URL | undefined
  readonly log: Log
}

const refsShown = 25

/** What stands for a host that is no host. */
const unknownHost = 'registry.example.com'

const label = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?'
const hostGrammar = new RegExp(
  `^(?:${label}(?:\\.${label})*|\\[[0-9a-f:.]{2,45}\\])(?::\\d{1,5})?$`,
  'i',
)
const longestHost = 260

const headers = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(statusStyle).digest('base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

export function statusPage(options: StatusPageOptions): Middleware {
  const { builds, source, publicUrl } = options
  return async (ctx, next) => {
    if (ctx.path !== '/') return next()
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      ctx.status = 405
      ctx.body = { error: `this page is read with GET, not ${ctx.method}` }
      return
    }
    const page = statusView({
      host: publicUrl?.host ?? requestedHost(ctx),
      source: source.status(),
      ...(await refsOf(options)),
      builds: builds.recent(),
      now: new Date(),
    })
    ctx.set(headers)
    ctx.body = Buffer.from(page.text)
  }
}

/** Refs that cannot be listed are told of on the page, which shows the rest all the same. */
async function refsOf({
  refs,
  log,
}: StatusPageOptions): Promise<{ refs?: RefStateList | 'unreadable' }> {
  if (refs === undefined) return {}
  try {
    return { refs: await refs.list(refsShown) }
  } catch (error) {
    log.warn({ failure: messageOf(error) }, 'the status page could not list the refs')
    return { refs: 'unreadable' }
  }
}

/** The `Host` of the request, for it is what this client can pull from. */
function requestedHost(ctx: Context): string {
  const host = ctx.get('Host')
  return host.length <= longestHost && hostGrammar.test(host) ? host : unknownHost
}
