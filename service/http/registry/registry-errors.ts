/**
 * The one place where a failure becomes an answer, and is logged.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
import type { Middleware } from 'koa'
import { Failure, type FailureKind, messageOf, publicMessageOf } from '../../image/errors.ts'
import type { Log } from '../../telemetry/ports.ts'

interface Answer {
  readonly status: number
  /** One of the spec's codes, or Docker's where the spec has none. */
  readonly code: string
}

/** Docker and skopeo show the message of a 4xx and hide that of a 5xx: what a person must read is 4xx. */
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
  'evaluation-failed': { status: 422, code: 'UNKNOWN' },
  'build-failed': { status: 422, code: 'UNKNOWN' },
  'build-timed-out': { status: 422, code: 'UNKNOWN' },
  'still-building': { status: 429, code: 'TOOMANYREQUESTS' },
  overloaded: { status: 429, code: 'TOOMANYREQUESTS' },
  unavailable: { status: 503, code: 'UNAVAILABLE' },
}

/** What was said of the answer that did not come about: an error is no blob. */
const contentHeaders = ['ETag', 'Docker-Content-Digest', 'Accept-Ranges']

/** Seconds until a client should come back, where the failure does not say. */
const defaultRetryAfter = 10

/** Turns whatever is thrown below into a registry error. */
export function registryErrors(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const failure = error instanceof Failure ? error : undefined
      const { status, code } = failure ? answers[failure.kind] : { status: 500, code: 'UNKNOWN' }
      const message = publicMessageOf(error)
      const fields = { method: ctx.method, path: ctx.path, status, error: messageOf(error) }
      if (failure === undefined) log.error({ ...fields, err: error }, 'request failed')
      else if (status >= 500) log.warn(fields, 'request failed')
      else log.info(fields, 'request refused')
      ctx.status = status
      if (status === 429 || status === 503) {
        ctx.set('Retry-After', String(failure?.retryAfter ?? defaultRetryAfter))
      }
      for (const header of contentHeaders) ctx.remove(header)
      if (status !== 416) ctx.remove('Content-Range')
      ctx.set({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
      ctx.body = Buffer.from(
        JSON.stringify({ errors: [{ code, message, detail: failure?.detail ?? null }] }),
      )
    }
  }
}
