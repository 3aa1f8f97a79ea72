/** What the webhooks of one kind of git hosting look like. */
import type { IncomingHttpHeaders } from 'node:http'

export type ProviderName = 'github' | 'gitlab' | 'gitea' | 'generic'

export interface Provider {
  readonly name: ProviderName
  /** Names of headers, in lower case. Of several for one thing the first that is there counts. */
  readonly headers: {
    /** Signatures or tokens: at least one must be there. */
    readonly proof: readonly string[]
    readonly event: readonly string[]
    readonly delivery: readonly string[]
  }
  /** The events that are acted upon, in the words of the service. */
  readonly events: string
  /** How the sender is made to send JSON. */
  readonly jsonAdvice: string
  /**
   * Whether the sender knows the secret. Looks at the bytes as they came and at nothing that they mean;
   * how long it takes tells nothing of the secret.
   */
  authenticate(body: Buffer, headers: IncomingHttpHeaders): boolean | Promise<boolean>
  /**
   * @param event of the header; empty where there is none
   * @returns undefined for an event that changes no ref
   * @throws ZodError for a payload that is none of this event
   */
  read(event: string, payload: unknown): Notice | undefined
}

/** What a payload says. It asks for a look at the repository; what is true stands there. */
export interface Notice {
  readonly event: string
  /** Clone URLs of the one repository; none where the payload names none. */
  readonly repositoryUrls: readonly string[]
  /** Full names of the refs that changed, for people who read the log. */
  readonly refs: readonly string[]
}

/** The first of these headers that is there and not empty; one that came twice is the values joined. */
export function headerOf(headers: IncomingHttpHeaders, names: readonly string[]): string {
  return names.map((name) => String(headers[name] ?? '')).find((value) => value !== '') ?? ''
}

/** The full name of a ref of which only the short one and the type are told. */
export function fullRef(type: string, name: string): string {
  return `refs/${type === 'tag' ? 'tags' : 'heads'}/${name}`
}
