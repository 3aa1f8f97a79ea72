/** What the bucket or the way to it answered, told apart by what helps: asking again, or somebody's hand. */
import { Failure, messageOf } from '../../image/errors.ts'
import { neededRole } from './settings.ts'

/** Seconds after which a bucket that is out of reach may be back. */
const retryAfter = 10

/** The HTTP status of an error, if there was an answer at all. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as {
    code?: unknown
    status?: unknown
    response?: { status?: unknown }
  }
  // The library gives the status as `code`, its HTTP client as `status`, and either may be text.
  for (const candidate of [code, status, response?.status]) {
    const number = Number(candidate)
    if (number >= 100 && number < 600) return number
  }
  return undefined
}

/** Whether an object is not there. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404
}

/** Whether somebody else wrote the object first. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 412
}

/** Whether the bucket did answer the question: there is no such object, no such bytes, or another one. */
export function isAnswer(error: unknown): boolean {
  return [404, 412, 416].includes(statusOf(error) ?? 0)
}

/**
 * Whether the same request may succeed soon. Everything that is sent can be sent again: it either has a
 * precondition, or has the same outcome however often it is done. What has no status never got an answer.
 * @see https://cloud.google.com/storage/docs/retry-strategy
 */
export function mayPass(error: unknown): boolean {
  const status = statusOf(error)
  return status === undefined || status === 408 || status === 429 || status >= 500
}

/**
 * An error of the bucket as the one that the service answers with. It carries no cause: errors of the client
 * quote URLs, and that of an upload is as good as a password.
 */
export function failureOf(bucket: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const status = statusOf(error)
  const denied = status === 401 || status === 403
  const hint = denied ? `; the service account needs ${neededRole} on it` : ''
  const answered = status === undefined ? 'is out of reach' : `answered ${status}`
  const message = `the bucket ${bucket} ${answered}: ${innermost(error)}${hint}`
  return new Failure('unavailable', message, { retryAfter })
}

/** The same of an error of whoever signs URLs: of that the bucket knows nothing. */
export function signingFailure(bucket: string, error: unknown): Failure {
  const message = `no URLs of the bucket ${bucket} can be signed: ${innermost(error)}`
  return new Failure('unavailable', message, { retryAfter })
}

/** What happened stands in the innermost cause, or behind a URL. Answers may be whole pages. */
function innermost(error: unknown): string {
  let cause = error
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  if (cause instanceof AggregateError) cause = cause.errors[0] ?? cause
  const { code } = cause as { code?: unknown }
  const reason = messageOf(cause)
    .replace(/^request to .* failed, reason: /, '')
    .trim()
  const line = (reason || String(code ?? 'no reason given')).split('\n')[0] ?? ''
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}
