/**
 * Receives a webhook delivery. A delivery only requests a reconcile: git says which refs exist, so a
 * delivery that is lost, late, repeated or replayed does no harm. The answer does not wait for the reconcile.
 */
import type { Context } from 'koa'
import { ZodError } from 'zod'
import { Failure } from '../../image/errors.ts'
import type { Log } from '../../telemetry/ports.ts'
import type { Act } from '../route.ts'
import type { WebhookServices } from '../services.ts'
import { defaultBodyTimeout, readBody } from './body.ts'
import { WebhookFailure, type WebhookOutcome } from './failure.ts'
import { headerOf, type Notice, type Provider } from './provider.ts'

/** A delivery without effect is answered 202: GitLab turns off webhooks that keep failing. */
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

/** Most refs in a log line: a push may move thousands. */
const maxRefsLogged = 20

const jsonType = /^application\/(?:[\w.-]+\+)?json$/i

/** @throws Failure route-unknown */
export function explainWebhooksOff(): never {
  const advice = 'they need SLIPWAY_WEBHOOK_SECRET, and a git repository as the source'
  throw new Failure('route-unknown', `webhooks are off: ${advice}`)
}

export function receiveDelivery(
  provider: Provider,
  services: WebhookServices,
  log: Log,
): Act<object> {
  const { name, headers } = provider
  return async (ctx) => {
    const delivery = headerOf(ctx.headers, headers.delivery)
    const fields = { provider: name, ...(delivery === '' ? {} : { delivery }) }
    try {
      const { event, refs } = await readDelivery(ctx, provider, services)
      log.info({ ...fields, event, refs: refs.slice(0, maxRefsLogged) }, 'webhook accepted')
      services.request({ ...fields, refs })
      services.onOutcome(name, 'accepted')
      send(ctx, 'accepted', { accepted: true })
    } catch (thrown) {
      if (!(thrown instanceof WebhookFailure)) throw thrown
      const { outcome, message: failure } = thrown
      const status = statuses[outcome]
      if (status < 400) log.info({ ...fields, outcome, failure }, 'webhook ignored')
      else log.warn({ ...fields, outcome, status, failure }, 'webhook failed')
      services.onOutcome(name, outcome)
      // If the body was not read to its end, no other request can follow on the connection.
      if (!ctx.req.complete) ctx.set('Connection', 'close')
      send(ctx, outcome, { accepted: false, reason: failure })
    }
  }
}

/** @throws WebhookFailure if the delivery requests no reconcile */
async function readDelivery(
  ctx: Context,
  provider: Provider,
  { repository, bodyTimeout = defaultBodyTimeout }: WebhookServices,
): Promise<Notice> {
  // A body of a wrong type is read, too: a sender whose connection is cut may not see the answer.
  const body = await readBody(ctx.req, bodyTimeout)
  requireJson(ctx, provider)
  await requireProof(ctx, provider, body)
  const notice = readNotice(ctx, provider, body)
  requireTracked(notice, repository)
  if (notice.event === 'ping') throw new WebhookFailure('pong', 'pong: the secret is right')
  return notice
}

function requireJson(ctx: Context, { jsonAdvice }: Provider): void {
  const encoding = ctx.get('Content-Encoding')
  if (encoding !== '' && encoding.toLowerCase() !== 'identity') {
    throw new WebhookFailure(
      'unsupported-type',
      `a payload must not be encoded, but this one is "${encoding}"`,
    )
  }
  const { type } = ctx.request
  if (type === '' || jsonType.test(type)) return
  throw new WebhookFailure(
    'unsupported-type',
    `a payload must be JSON, but this one is ${type}: ${jsonAdvice}`,
  )
}

async function requireProof(ctx: Context, provider: Provider, body: Buffer): Promise<void> {
  const names = provider.headers.proof
  if (headerOf(ctx.headers, names) === '') {
    throw new WebhookFailure(
      'unauthorized',
      `the header ${names.join(' or ')} is missing: give the webhook the secret of SLIPWAY_WEBHOOK_SECRET`,
    )
  }
  if (await provider.authenticate(body, ctx.headers)) return
  throw new WebhookFailure(
    'unauthorized',
    `the header ${names.join(' or ')} is wrong: the webhook must have the secret of SLIPWAY_WEBHOOK_SECRET`,
  )
}

function readNotice(ctx: Context, provider: Provider, body: Buffer): Notice {
  const event = headerOf(ctx.headers, provider.headers.event)
  const notice = explainMalformed(() => provider.read(event, parsePayload(body, provider)))
  if (notice) return notice
  throw new WebhookFailure(
    'ignored',
    `"${event}" is an event that changes no ref; these request a reconcile: ${provider.events}`,
  )
}

function parsePayload(body: Buffer, { name }: Provider): unknown {
  // A generic delivery may be empty.
  return name === 'generic' && body.length === 0 ? undefined : JSON.parse(body.toString())
}

function explainMalformed<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new WebhookFailure('malformed', 'the payload is no valid JSON')
    }
    if (!(error instanceof ZodError)) throw error
    const issues = error.issues.map(({ path, message }) => `${path.join('.') || 'all'}: ${message}`)
    throw new WebhookFailure(
      'malformed',
      `the payload does not fit the event: ${issues.join('; ')}`,
    )
  }
}

function requireTracked(
  { repositoryUrls }: Notice,
  repository: WebhookServices['repository'],
): void {
  if (repositoryUrls.length === 0 || repositoryUrls.some(repository.isNamedBy)) return
  throw new WebhookFailure(
    'other-repository',
    `the webhook is of ${repository.describe(repositoryUrls)}, but the tracked repository is ` +
      `${repository.description}; if they are the same, set SLIPWAY_WEBHOOK_REPOSITORY to the URL of the first`,
  )
}

function send(ctx: Context, outcome: WebhookOutcome, answer: object): void {
  ctx.status = statuses[outcome]
  ctx.set('Cache-Control', 'no-store')
  ctx.body = answer
}
