/**
 * What can go wrong, as values. Who finds a fault throws a Failure that says what was wrong (with the
 * value) and what would be right; the HTTP edge alone knows which status and code it becomes.
 */

export type FailureKind =
  | 'name-invalid'
  | 'tag-invalid'
  | 'digest-invalid'
  | 'paging-invalid'
  /** No such package, tag or manifest. */
  | 'manifest-unknown'
  | 'blob-unknown'
  /** A range of bytes that begins behind the end. */
  | 'range-invalid'
  | 'route-unknown'
  /** The client accepts no type that could be sent. */
  | 'not-acceptable'
  /** A push, or anything else that a read-only registry never does. */
  | 'unsupported'
  /** The client may not do this. */
  | 'denied'
  | 'evaluation-failed'
  | 'build-failed'
  | 'build-timed-out'
  | 'still-building'
  | 'overloaded'
  /** Storage, git or Nix is out of reach: nothing is wrong with the request. */
  | 'unavailable'

export interface FailureOptions {
  /** Machine-readable facts for the `detail` of a registry error. */
  detail?: unknown
  /** Seconds after which asking again makes sense. */
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

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Stands for the message of an error that is no Failure: such a message may hold anything, also secrets. */
const internalError = 'internal error: the log of the service tells more'

/** Returns the part of an error that may be shown to anybody. */
export function publicMessageOf(error: unknown): string {
  return error instanceof Failure ? error.message : internalError
}
