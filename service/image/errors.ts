/**
 * Failures that are reported to a person. Code that detects one throws a `Failure` whose message says what
 * failed (with the value), why, and what would be right. Only the HTTP edge knows which status and error
 * code each kind becomes.
 */

export type FailureKind =
  /** The repository name breaks the grammar. */
  | 'name-invalid'
  /** The tag breaks the grammar. */
  | 'tag-invalid'
  /** The digest breaks the grammar. */
  | 'digest-invalid'
  /** A paging parameter of a listing has a wrong value. */
  | 'paging-invalid'
  /** The package, tag or manifest does not exist. */
  | 'manifest-unknown'
  /** The blob is not stored. */
  | 'blob-unknown'
  /** The requested range begins after the last byte. */
  | 'range-invalid'
  /** No route has this path. */
  | 'route-unknown'
  /** The client accepts none of the media types that could be sent. */
  | 'not-acceptable'
  /** A push, or another operation that a read-only registry does not have. */
  | 'unsupported'
  /** The client may not do this. */
  | 'denied'
  /** The proof that the sender of a webhook knows the secret is missing or wrong. */
  | 'unauthorized'
  /** The body of the request cannot be parsed, or a field is missing or wrong. */
  | 'malformed'
  /** The connection broke off before the body of the request was complete. */
  | 'broken-off'
  /** The body of the request did not arrive in time. */
  | 'timed-out'
  /** The body of the request is larger than the limit. */
  | 'too-large'
  /** The body of the request has a media type or an encoding that is not read. */
  | 'unsupported-type'
  /** The package set, or one of its packages, cannot be evaluated. */
  | 'evaluation-failed'
  /** A builder failed. */
  | 'build-failed'
  /** A builder ran past its time limit. */
  | 'build-timed-out'
  /** The pull waited as long as it may; the build goes on. */
  | 'still-building'
  /** Too many builds, evaluations or look-ups are waiting. */
  | 'overloaded'
  /** Storage, git or Nix cannot be reached; the request itself is correct. */
  | 'unavailable'

export interface FailureOptions {
  /** Machine-readable facts for the `detail` of a registry error. */
  detail?: unknown
  /** Seconds after which a client should repeat the request. */
  retryAfter?: number
  cause?: unknown
}

export class Failure extends Error {
  override readonly name = 'Failure'
  readonly kind: FailureKind
  readonly detail: unknown
  readonly retryAfter: number | undefined

  constructor(kind: FailureKind, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.detail = options.detail
    this.retryAfter = options.retryAfter
  }
}

/** Returns the message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Replaces the message of an error that is not a Failure, because that message may hold secrets. */
const internalError = 'internal error: see the log of the service'

/** Returns the part of an error that may be shown to anybody. */
export function publicMessageOf(error: unknown): string {
  return error instanceof Failure ? error.message : internalError
}
