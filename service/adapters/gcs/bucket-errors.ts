/** Errors of requests to the bucket: which can be retried, which are answers, and how each is reported. */

import { Failure, messageOf } from '../../image/errors.ts'
import { truncate } from '../../text/truncate.ts'
import { neededRole } from './settings.ts'

/** Seconds after which a bucket that was out of reach may answer again. */
const retryAfter = 10
/** Characters of the longest message. A proxy may answer with a whole page. */
const longestMessage = 200

/** A response with an error status. */
export class ErrorResponse extends Error {
  readonly status: number

  constructor(status: number, body: string) {
    super(messageIn(body) || `status ${status}`)
    this.status = status
  }
}

/** Returns the HTTP status of an error, or undefined if no response arrived. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as {
    code?: unknown
    status?: unknown
    response?: { status?: unknown }
  }
  // Google's auth library gives the status as `code` or `status`, as a number or as text.
  for (const candidate of [code, status, response?.status]) {
    const number = Number(candidate)
    if (number >= 100 && number < 600) return number
  }
  return undefined
}

export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404
}

/** Returns whether another instance wrote the object first. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOf(error) === 412
}

/** Returns whether the bucket answered the request, although with an error status: 404, 412 or 416. */
export function isAnswer(error: unknown): boolean {
  return [404, 412, 416].includes(statusOf(error) ?? 0)
}

/**
 * Returns whether the same request may succeed when it is sent again. Every request of this adapter can be
 * sent again: it has a precondition, or the same outcome however often it is sent. An error without a
 * status means that no response arrived.
 * @see https://cloud.google.com/storage/docs/retry-strategy
 */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error)
  return status === undefined || status === 408 || status === 429 || status >= 500
}

/**
 * Turns an error of a request to the bucket into a Failure. The Failure has no `cause`: errors of the
 * client quote URLs, and the URL of an upload session is as secret as a password.
 */
export function failureOf(bucket: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const status = statusOf(error)
  const isDenied = status === 401 || status === 403
  const hint = isDenied ? `; the service account needs ${neededRole} on it` : ''
  const outcome = status === undefined ? 'is out of reach' : `answered ${status}`
  const message = `the bucket ${bucket} ${outcome}: ${innermostMessage(error)}${hint}`
  return new Failure('unavailable', message, { retryAfter })
}

/** Turns an error of signing a URL into a Failure. The bucket is not involved in signing. */
export function signingFailure(bucket: string, error: unknown): Failure {
  const message = `no URLs of the bucket ${bucket} can be signed: ${innermostMessage(error)}`
  return new Failure('unavailable', message, { retryAfter })
}

/** Returns the first line of the innermost cause, which says what happened. */
function innermostMessage(error: unknown): string {
  let cause = error
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  if (cause instanceof AggregateError) cause = cause.errors[0] ?? cause
  const { code } = cause as { code?: unknown }
  const message = messageOf(cause).trim()
  const line = (message || String(code ?? 'no message')).split('\n')[0] ?? ''
  return truncate(line, longestMessage)
}

/** Returns the message of an error in Google's JSON format, or else the text itself. */
function messageIn(body: string): string {
  try {
    return String(JSON.parse(body).error.message)
  } catch {
    return body.trim()
  }
}
