/** `GET /`: the state of the service on one page without scripts. */
import { createHash } from 'node:crypto'
import type { Context } from 'koa'
import { messageOf } from '../../image/errors.ts'
import type { RefStateList } from '../../prebuild/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import type { Act } from '../route.ts'
import type { StatusServices } from '../services.ts'
import { statusStyle } from './style.ts'
import { statusView } from './view.ts'

const refsShown = 25

/** Shown in place of a `Host` that is invalid. */
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

export function sendStatusPage(services: StatusServices, log: Log): Act<object> {
  const { builds, source, publicUrl } = services
  return async (ctx) => {
    const page = statusView({
      host: publicUrl?.host ?? requestedHost(ctx),
      source: source.status(),
      ...(await refsOf(services, log)),
      builds: builds.recent(),
      now: new Date(),
    })
    ctx.set(headers)
    ctx.body = Buffer.from(page.text)
  }
}

/** If the refs cannot be listed, the page says so and shows the rest. */
async function refsOf(
  { refs }: StatusServices,
  log: Log,
): Promise<{ refs?: RefStateList | 'unreadable' }> {
  if (refs === undefined) return {}
  try {
    return { refs: await refs.list(refsShown) }
  } catch (error) {
    log.warn({ failure: messageOf(error) }, 'the status page could not list the refs')
    return { refs: 'unreadable' }
  }
}

/** Returns the `Host` of the request, the address that this client can pull from. */
function requestedHost(ctx: Context): string {
  const host = ctx.get('Host')
  return host.length <= longestHost && hostGrammar.test(host) ? host : unknownHost
}
