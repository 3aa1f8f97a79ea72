/** Webhooks of one kind of git hosting service. */

import type { IncomingHttpHeaders } from 'node:http'
import { branchPrefix, tagPrefix } from '../../image/ref-name.ts'

export type ProviderName = 'github' | 'gitlab' | 'gitea' | 'generic'

export interface Provider {
  readonly name: ProviderName
  /** Names of headers, in lower case. If several mean one thing, the first that is present counts. */
  readonly headers: {
    /** Signature or token: at least one must be present. */
    readonly proof: readonly string[]
    readonly event: readonly string[]
    readonly delivery: readonly string[]
  }
  /** The events that request a reconcile, in the provider's words, for messages. */
  readonly events: string
  /** How to make the provider send JSON, for messages. */
  readonly jsonAdvice: string
  /**
   * Returns whether the sender knows the secret. Reads the body as bytes, before anything in it is
   * parsed. The time that it takes reveals nothing about the secret.
   */
  authenticate(body: Buffer, headers: IncomingHttpHeaders): boolean | Promise<boolean>
  /**
   * Reads a payload.
   * @param event from the header; empty if there is no such header
   * @returns undefined for an event that changes no ref
   * @throws ZodError for a payload that does not fit the event
   */
  read(event: string, payload: unknown): Notice | undefined
}

/** The contents of a payload. It is a hint only: git says which refs exist. */
export interface Notice {
  readonly event: string
  /** Clone URLs of the repository; empty if the payload names none. */
  readonly repositoryUrls: readonly string[]
  /** Full names of the refs that changed, for the log. */
  readonly refs: readonly string[]
}

/**
 * Returns the first of these headers that is present and not empty, else an empty text. Node joins the
 * values of a header that was sent twice.
 */
export function headerOf(headers: IncomingHttpHeaders, names: readonly string[]): string {
  return names.map((name) => String(headers[name] ?? '')).find((value) => value !== '') ?? ''
}

/** Returns the full name of a ref from its short name and its type. */
export function fullRef(type: string, name: string): string {
  return (type === 'tag' ? tagPrefix : branchPrefix) + name
}
