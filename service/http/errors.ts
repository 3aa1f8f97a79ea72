/**
 * The one place where a failure becomes an HTTP answer, and is logged.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
import type { Middleware } from 'koa'
import { Failure, type FailureKind, messageOf, publicMessageOf } from '../image/errors.ts'
import type { Log } from '../telemetry/ports.ts'
import { isRegistryPath } from './registry/base.ts'

interface Answer {
  readonly status: number
  /** An error code of the spec, or of Docker where the spec has none. */
  readonly code: string
}

/** Docker and skopeo show the message of a 4xx and hide that of a 5xx, so failures for people are 4xx. */
const answers: Record<FailureKind, Answer> = {
  'name-invalid': { status: 400, code: 'NAME_INVALID' },
  'tag-invalid': { status: 404, code: 'MANIFEST_UNKNOWN' },
  'digest-invalid': { status: 400, code: 'DIGEST_INVALID' },
  'paging-invalid': { status: 400, code: 'PAGINATION_NUMBER_INVALID' },
  'manifest-unknown': { status: 404, code: 'MANIFEST_UNKNOWN' },
  'not-acceptable': { status: 404, code: 'MANIFEST_UNKNOWN' },
  'blob-unknown': { status: 404, code: 'BLOB_UNKNOWN' },
  'range-invalid': { status: 416, code: 'RANGE_INVALID' },
  'route-unknown': { status: 404, code: 'UNSUPPORTED' },
  unsupported: { status: 405, code: 'UNSUPPORTED' },
  denied: { status: 403, code: 'DENIED' },
  unauthorized: { status: 401, code: 'UNAUTHORIZED' },
  malformed: { status: 400, code: 'UNKNOWN' },
  'broken-off': { status: 400, code: 'UNKNOWN' },
  'timed-out': { status: 408, code: 'UNKNOWN' },
  'too-large': { status: 413, code: 'UNKNOWN' },
  'unsupported-type': { status: 415, code: 'UNSUPPORTED' },
  'evaluation-failed': { status: 422, code: 'UNKNOWN' },
  'build-failed': { status: 422, code: 'UNKNOWN' },
  'build-timed-out': { status: 422, code: 'UNKNOWN' },
  'still-building': { status: 429, code: 'TOOMANYREQUESTS' },
  overloaded: { status: 429, code: 'TOOMANYREQUESTS' },
  unavailable: { status: 503, code: 'UNAVAILABLE' },
}

/** Answer for an error that is no Failure: a bug of the service. */
const internalError: Answer = { status: 500, code: 'UNKNOWN' }

/** Statuses that tell the client to try again later. */
const temporary: ReadonlySet<number> = new Set([429, 503])

/** Seconds in `Retry-After`, where the failure names none. */
const defaultRetryAfter = 10

/** Headers of the content that the error replaces. `Content-Range` is not among them, because a 416 keeps it. */
const contentHeaders = ['ETag', 'Docker-Content-Digest', 'Accept-Ranges']

export interface ErrorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Returns the HTTP answer for any thrown value. */
export function errorAnswer(thrown: unknown, path: string): ErrorAnswer {
  const failure = thrown instanceof Failure ? thrown : undefined
  const { status, code } = failure ? answers[failure.kind] : internalError
  const retryAfter = String(failure?.retryAfter ?? defaultRetryAfter)
  return {
    status,
    headers: {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      ...(temporary.has(status) ? { 'Retry-After': retryAfter } : {}),
    },
    body: Buffer.from(
      JSON.stringify(inDialect(path, code, publicMessageOf(thrown), failure?.detail)),
    ),
  }
}

/**
 * Returns the body of an error, in the form of the API to which the path belongs. Git hosting services show that
 * of a webhook in their delivery logs.
 */
function inDialect(path: string, code: string, message: string, detail: unknown = null): object {
  if (isRegistryPath(path)) return { errors: [{ code, message, detail }] }
  if (path.startsWith('/webhooks/')) return { accepted: false, reason: message }
  return { error: message }
}

/** The part of `ctx.state` that a route sets for the log line of a failure. */
export interface FailureState {
  delivery?: { readonly provider: string; readonly delivery?: string }
}

/** Middleware that answers errors of the middleware after it, and logs each once. */
export function answerErrors(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (thrown) {
      const { status, headers, body } = errorAnswer(thrown, ctx.path)
      const { delivery }: FailureState = ctx.state
      const fields = {
        ...delivery,
        method: ctx.method,
        path: ctx.path,
        status,
        ...(thrown instanceof Failure ? { kind: thrown.kind } : { err: thrown }),
        failure: messageOf(thrown),
      }
      if (!(thrown instanceof Failure)) log.error(fields, 'request failed')
      // A push does not show that its webhook failed, so the operator must see it in the log.
      else if (status >= 500 || delivery) log.warn(fields, 'request failed')
      // Scanners request many paths that do not exist.
      else if (thrown.kind === 'route-unknown' && !isRegistryPath(ctx.path))
        log.debug(fields, 'request failed')
      else log.info(fields, 'request failed')
      for (const header of contentHeaders) ctx.remove(header)
      if (status !== 416) ctx.remove('Content-Range')
      ctx.status = status
      ctx.set({ ...headers })
      ctx.body = body
    }
  }
}
