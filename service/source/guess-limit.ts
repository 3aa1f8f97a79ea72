/**
 * Limits the requests to the channel server for guesses: channels and commits that were not known before.
 * Clients that make up names must not load the server.
 */

import { LRUCache } from 'lru-cache'
import PQueue from 'p-queue'
import { Failure } from '../image/errors.ts'

/** Seconds after which a client may repeat a request that the channel server could not answer. */
export const channelRetryAfter = 30

/**
 * Milliseconds that a name counts as unknown. A client sends a failed request twice, and a new channel appears
 * only twice a year.
 */
const unknownFor = 60_000
const maxUnknown = 1000
/** Most guesses that are sent to the server at the same time. */
const maxRunning = 4
const maxWaiting = 100

export class GuessLimit {
  /** Unknown name → time until which it counts as unknown. */
  readonly #unknown = new LRUCache<string, number>({ max: maxUnknown })
  readonly #queue = new PQueue({ concurrency: maxRunning })

  isUnknown(name: string): boolean {
    return Date.now() < (this.#unknown.get(name) ?? 0)
  }

  /** Makes `isUnknown` true for a minute. */
  markUnknown(name: string): void {
    this.#unknown.set(name, Date.now() + unknownFor)
  }

  /** Asks the server when it is this guess's turn. @throws Failure overloaded if too many guesses wait */
  async run<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#queue.size < maxWaiting) return this.#queue.add(ask)
    throw new Failure('overloaded', 'too many unknown channels and commits are requested at once', {
      retryAfter: channelRetryAfter,
    })
  }
}
