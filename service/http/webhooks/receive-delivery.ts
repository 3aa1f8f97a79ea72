/**
 * Receives a webhook delivery. A delivery only requests a reconcile: git says which refs exist, so a
 * delivery that is lost, late, repeated or replayed does no harm. The answer does not wait for the reconcile.
 */
import type { Context } from 'koa'
import { ZodError } from 'zod'
import { Failure } from '../../image/errors.ts'
import type { TrackedRepository } from '../../source/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import type { FailureState } from '../errors.ts'
import type { Act } from '../route.ts'
import type { WebhookServices } from '../services.ts'
import { defaultBodyTimeout, readBody } from './body.ts'
import type { DeliveryResult } from './outcome.ts'
import { headerOf, type Notice, type Provider } from './provider.ts'

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
    const state: FailureState = ctx.state
    state.delivery = fields
    const result = await readDelivery(ctx, provider, services).catch((thrown: unknown) => {
      if (thrown instanceof Failure) services.onOutcome(name, thrown.kind)
      // If the body was not read to its end, no other request can follow on the connection.
      if (!ctx.req.complete) ctx.set('Connection', 'close')
      throw thrown
    })
    ctx.status = 202
    ctx.set('Cache-Control', 'no-store')
    if (result.outcome === 'accepted') {
      const { event, refs } = result.notice
      const logged = { event, refs: refs.slice(0, maxRefsLogged), refCount: refs.length }
      log.info({ ...fields, ...logged }, 'webhook accepted')
      services.request()
      ctx.body = { accepted: true }
    } else {
      log.info({ ...fields, ...result }, 'webhook ignored')
      ctx.body = { accepted: false, reason: result.reason }
    }
    services.onOutcome(name, result.outcome)
  }
}

/** @throws Failure unauthorized, malformed, broken-off, timed-out, too-large, unsupported-type */
async function readDelivery(
  ctx: Context,
  provider: Provider,
  { repository, bodyTimeout = defaultBodyTimeout }: WebhookServices,
): Promise<DeliveryResult> {
  // A body of a wrong type is read, too: a sender whose connection is cut may not see the answer.
  const body = await readBody(ctx.req, bodyTimeout)
  requireJson(ctx, provider)
  await requireProof(ctx, provider, body)
  const event = headerOf(ctx.headers, provider.headers.event)
  const notice = explainMalformed(() => provider.read(event, parsePayload(body, provider)))
  if (notice === undefined) {
    const reason = `"${event}" is an event that changes no ref; these request a reconcile: ${provider.events}`
    return { outcome: 'ignored', reason }
  }
  if (!isTracked(notice, repository)) {
    return { outcome: 'other-repository', reason: explainOtherRepository(notice, repository) }
  }
  if (notice.event === 'ping') return { outcome: 'pong', reason: 'pong: the secret is right' }
  return { outcome: 'accepted', notice }
}

function requireJson(ctx: Context, { jsonAdvice }: Provider): void {
  const encoding = ctx.get('Content-Encoding')
  if (encoding !== '' && encoding.toLowerCase() !== 'identity') {
    throw new Failure(
      'unsupported-type',
      `a payload must not be encoded, but this one is "${encoding}"`,
    )
  }
  const { type } = ctx.request
  if (type === '' || jsonType.test(type)) return
  throw new Failure(
    'unsupported-type',
    `a payload must be JSON, but this one is ${type}: ${jsonAdvice}`,
  )
}

async function requireProof(ctx: Context, provider: Provider, body: Buffer): Promise<void> {
  const names = provider.headers.proof
  if (headerOf(ctx.headers, names) === '') {
    throw new Failure(
      'unauthorized',
      `the header ${names.join(' or ')} is missing: give the webhook the secret of SLIPWAY_WEBHOOK_SECRET`,
    )
  }
  if (await provider.authenticate(body, ctx.headers)) return
  throw new Failure(
    'unauthorized',
    `the header ${names.join(' or ')} is wrong: the webhook must have the secret of SLIPWAY_WEBHOOK_SECRET`,
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
      throw new Failure('malformed', 'the payload is no valid JSON')
    }
    if (!(error instanceof ZodError)) throw error
    const issues = error.issues.map(({ path, message }) => `${path.join('.') || 'all'}: ${message}`)
    throw new Failure('malformed', `the payload does not fit the event: ${issues.join('; ')}`)
  }
}

function isTracked({ repositoryUrls }: Notice, repository: TrackedRepository): boolean {
  return repositoryUrls.length === 0 || repositoryUrls.some(repository.isNamedBy)
}

function explainOtherRepository({ repositoryUrls }: Notice, repository: TrackedRepository): string {
  return (
    `the webhook is of ${repository.describe(repositoryUrls)}, but the tracked repository is ` +
    `${repository.description}; if they are the same, set SLIPWAY_WEBHOOK_REPOSITORY to the URL of the first`
  )
}
