/**
 * Decides when a git repository is fetched: by a timer, on request (`refresh`, which webhooks call), and for
 * tags that are unknown here. Two fetches never run at the same time.
 *
 *     pull of unknown tag v9     ├─ 20 ms ─┤ fetch │
 *     pull of unknown tag v9         └─────────────┤ both are answered by that fetch
 *     pull of unknown tag v10              ├──── up to 2 s ────┤ fetch │
 */

import { Failure } from '../image/errors.ts'

/** Milliseconds between the starts of fetches for unknown tags, so that clients cannot load the remote with pulls. */
const defaultUnknownTagInterval = 2000
/** Milliseconds before the first fetch of a service that has refs already, so that requests are answered first. */
const startDelay = 200
/** Milliseconds that a fetch for an unknown tag waits, so that simultaneous requests share it. */
const gatheringTime = 20
/** Seconds after which a client may repeat a request whose fetch failed. */
export const fetchRetryAfter = 5

export interface FetchScheduleOptions {
  /** Fetches once and reports its own failures. */
  readonly fetch: () => Promise<void>
  /** Seconds between fetches by the timer; 0 turns the timer off. */
  readonly pollInterval: number
  /** Milliseconds between the starts of fetches for unknown tags. @default 2000 */
  readonly unknownTagInterval?: number
}

export class FetchSchedule {
  readonly #options: FetchScheduleOptions
  #isStopped = false
  #pollTimer: NodeJS.Timeout | undefined
  #firstFetch: NodeJS.Timeout | undefined

  #running: Promise<void> | undefined
  /** The fetch that starts when the running one has ended. */
  #queued: Promise<void> | undefined

  /** The next fetch to start; present while a request for an unknown tag waits for it. */
  #awaited: PromiseWithResolvers<void> | undefined
  #awaitedTimer: NodeJS.Timeout | undefined
  /** Earliest start of the next fetch for an unknown tag, on the clock of `performance.now()`. */
  #permittedAt = 0

  constructor(options: FetchScheduleOptions) {
    this.#options = options
  }

  /**
   * Starts the timer, after a first fetch or with a first fetch in the background.
   * @throws what the first fetch throws, if it is waited for
   */
  async start(firstFetch: 'awaited' | 'background'): Promise<void> {
    if (this.#isStopped) return
    if (firstFetch === 'awaited') await this.refresh()
    else this.#firstFetch = setTimeout(() => this.#refreshInBackground(), startDelay)
    const { pollInterval } = this.#options
    if (pollInterval <= 0 || this.#isStopped) return
    this.#pollTimer = setInterval(() => {
      if (!this.#running) this.#refreshInBackground()
    }, pollInterval * 1000).unref()
  }

  /** Starts no further fetch and fails all requests that wait for one. A running fetch goes on. */
  stop(): void {
    this.#isStopped = true
    clearInterval(this.#pollTimer)
    clearTimeout(this.#firstFetch)
    clearTimeout(this.#awaitedTimer)
    this.#awaited?.reject(shuttingDown())
    this.#awaited = undefined
  }

  /**
   * Waits for a fetch that starts after this call. However many callers wait, one fetch runs and one is
   * queued.
   * @throws what the fetch throws; Failure unavailable after `stop`
   */
  refresh(): Promise<void> {
    if (!this.#running) return this.#fetch()
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = undefined
        return this.#fetch()
      })
    return this.#queued
  }

  /**
   * Waits for the next permitted fetch for unknown tags. If a fetch is running and finds the tag, waits only
   * for that fetch.
   * @throws what the next fetch throws; Failure unavailable after `stop`
   */
  async fetchUnknownTag(isKnown: () => boolean): Promise<void> {
    const next = this.#nextPermittedFetch()
    if (this.#running) {
      await Promise.race([next, this.#running.catch(() => {})])
      if (isKnown()) return
    }
    await next
  }

  /** Returns the next fetch to start, and makes sure that one starts. A fetch with another cause counts, too. */
  #nextPermittedFetch(): Promise<void> {
    if (this.#awaited) return this.#awaited.promise
    if (this.#isStopped) return Promise.reject(shuttingDown())
    this.#awaited = Promise.withResolvers<void>()
    const wait = Math.max(this.#permittedAt - performance.now(), gatheringTime)
    this.#awaitedTimer = setTimeout(() => this.#refreshInBackground(), wait)
    return this.#awaited.promise
  }

  #refreshInBackground(): void {
    this.refresh().catch(() => {})
  }

  #fetch(): Promise<void> {
    if (this.#isStopped) return Promise.reject(shuttingDown())
    const awaited = this.#awaited
    this.#awaited = undefined
    clearTimeout(this.#awaitedTimer)
    if (awaited) {
      this.#permittedAt =
        performance.now() + (this.#options.unknownTagInterval ?? defaultUnknownTagInterval)
    }
    const fetch = this.#options.fetch().finally(() => {
      this.#running = undefined
    })
    this.#running = fetch
    if (awaited) fetch.then(awaited.resolve, awaited.reject)
    return fetch
  }
}

function shuttingDown(): Failure {
  return new Failure('unavailable', 'the service is shutting down', { retryAfter: fetchRetryAfter })
}
