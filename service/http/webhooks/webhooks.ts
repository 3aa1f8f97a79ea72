/**
 * Webhooks of git hosting services: whoever knows the secret may ask for a look at the tracked
 * repository. Nothing else is believed, so that a delivery which is lost, late, repeated or replayed
 * does no harm; and nothing is waited for, so that the answer comes at once.
 */
import type { Context, Middleware } from 'koa'
import { ZodError } from 'zod'
import type { TrackedRepository } from '../../source/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import { defaultBodyTimeout, readBody } from './body.ts'
import { generic } from './generic.ts'
import { gitea } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { headerOf, type Notice, type Provider, type ProviderName } from './provider.ts'
import { Refusal, type WebhookOutcome } from './refusal.ts'

/** Who asks for a reconcile, and why: for the log. */
export interface WebhookReason {
  readonly provider: ProviderName
  /** Full names; empty where the payload says none. */
  readonly refs: readonly string[]
  readonly delivery?: string
}

export interface WebhookOptions {
  /** Without one, or an empty one, there are no webhooks. */
  readonly secret?: string | undefined
  readonly repository: TrackedRepository
  /** Asks for a reconcile and returns at once. */
  readonly request: (reason: WebhookReason) => void
  readonly log: Log
  readonly onOutcome?: (provider: ProviderName, outcome: WebhookOutcome) => void
  /** Milliseconds that a payload may take to arrive. @default 10000 */
  readonly bodyTimeout?: number
}

const prefix = '/webhooks/'

/** What is ignored is no error of the sender: GitLab turns off webhooks that keep failing. */
const statuses: Record<WebhookOutcome, number> = {
  accepted: 202,
  pong: 202,
  ignored: 202,
  'other-repository': 202,
  malformed: 400,
  unauthorized: 401,
  'broken-off': 400,
  'timed-out': 408,
  'too-large': 413,
  'unsupported-type': 415,
}

/** A push may move thousands of refs. */
const refsLogged = 20

const jsonType = /^application\/(?:[\w.-]+\+)?json$/i

/** Middleware for everything under `/webhooks/`. */
export function webhooks(options: WebhookOptions): Middleware {
  const { secret, log } = options
  const made = secret ? [github, gitlab, gitea, generic].map((provider) => provider(secret)) : []
  const providers = new Map(made.map((provider) => [prefix + provider.name, provider]))
  return async (ctx, next) => {
    if (!ctx.path.startsWith(prefix)) return next()
    const provider = providers.get(ctx.path)
    if (provider === undefined) {
      const paths = [...providers.keys()].join(', ')
      const reason = secret
        ? `there is no ${ctx.path}; there is ${paths}`
        : 'webhooks are off: they need SLIPWAY_WEBHOOK_SECRET, and a git repository as the source'
      return send(ctx, 404, reason)
    }
    if (ctx.method !== 'POST') {
      ctx.set('Allow', 'POST')
      return send(ctx, 405, `a webhook is sent with POST, not ${ctx.method}`)
    }
    const delivery = headerOf(ctx.headers, provider.headers.delivery)
    const fields = { provider: provider.name, ...(delivery === '' ? {} : { delivery }) }
    try {
      const { event, refs } = await receive(ctx, provider, options)
      log.info({ ...fields, event, refs: refs.slice(0, refsLogged) }, 'webhook accepted')
      options.request({ ...fields, refs })
      options.onOutcome?.(provider.name, 'accepted')
      send(ctx, statuses.accepted)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { outcome, message: reason } = error
      const status = statuses[outcome]
      if (status < 400) log.info({ ...fields, outcome, reason }, 'webhook ignored')
      else log.warn({ ...fields, outcome, status, reason }, 'webhook refused')
      options.onOutcome?.(provider.name, outcome)
      // No request can follow a payload that was not read to its end.
      if (!ctx.req.complete) ctx.set('Connection', 'close')
      send(ctx, status, reason)
    }
  }
}

/** @throws Refusal when there is nothing to do */
async function receive(ctx: Context, provider: Provider, options: WebhookOptions): Promise<Notice> {
  // Also what is of the wrong type is read: a sender who is cut short may not see the answer.
  const body = await readBody(ctx.req, options.bodyTimeout ?? defaultBodyTimeout)
  requireJson(ctx, provider)
  await requireProof(ctx, provider, body)
  const notice = readNotice(ctx, provider, body)
  requireTracked(notice, options)
  if (notice.event === 'ping') throw new Refusal('pong', 'pong: the secret is right')
  return notice
}

function requireJson(ctx: Context, { jsonAdvice }: Provider): void {
  const encoding = ctx.get('Content-Encoding')
  if (encoding !== '' && encoding.toLowerCase() !== 'identity') {
    const reason = `a payload must not be encoded, and this one is "${encoding}"`
    throw new Refusal('unsupported-type', reason)
  }
  const { type } = ctx.request
  if (type === '' || jsonType.test(type)) return
  throw new Refusal(
    'unsupported-type',
    `a payload must be JSON, and this is ${type}: ${jsonAdvice}`,
  )
}

async function requireProof(ctx: Context, provider: Provider, body: Buffer): Promise<void> {
  const names = provider.headers.proof
  if (headerOf(ctx.headers, names) === '') {
    const reason = `the header ${names.join(' or ')} is missing: give the webhook the secret of SLIPWAY_WEBHOOK_SECRET`
    throw new Refusal('unauthorized', reason)
  }
  if (await provider.authenticate(body, ctx.headers)) return
  const reason = `${names.join(' or ')} does not fit: the secret must be that of SLIPWAY_WEBHOOK_SECRET`
  throw new Refusal('unauthorized', reason)
}

function readNotice(ctx: Context, provider: Provider, body: Buffer): Notice {
  const event = headerOf(ctx.headers, provider.headers.event)
  const notice = understand(() => provider.read(event, parse(body, provider)))
  if (notice) return notice
  const reason = `"${event}" is an event that changes no ref; acted upon: ${provider.events}`
  throw new Refusal('ignored', reason)
}

function parse(body: Buffer, { name }: Provider): unknown {
  // There is nothing that a generic payload must say.
  return name === 'generic' && body.length === 0 ? undefined : JSON.parse(body.toString())
}

function understand<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal('malformed', 'the payload is no valid JSON')
    if (!(error instanceof ZodError)) throw error
    const faults = error.issues.map(({ path, message }) => `${path.join('.') || 'all'}: ${message}`)
    const reason = `the payload is none of such an event: ${faults.join('; ')}`
    throw new Refusal('malformed', reason)
  }
}

function requireTracked({ repositoryUrls }: Notice, { repository }: WebhookOptions): void {
  if (repositoryUrls.length === 0 || repositoryUrls.some(repository.isNamedBy)) return
  throw new Refusal(
    'other-repository',
    `the webhook is of ${repository.describe(repositoryUrls)}, and the tracked repository is ` +
      `${repository.description}; if that is the same one, set SLIPWAY_WEBHOOK_REPOSITORY to the URL of the first`,
  )
}

function send(ctx: Context, status: number, reason?: string): void {
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = reason === undefined ? { accepted: true } : { accepted: false, reason }
}
