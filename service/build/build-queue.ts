/** One build per key at a time; a failure is remembered for a while, so that those who ask share it. */

import { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure } from '../image/errors.ts'
import type { Cause } from './ports.ts'

/**
 * Milliseconds that a failure is remembered: docker asks twice for a tag that fails, HEAD and GET, and
 * shows the second answer. One that took long to find out is remembered as long, so that whoever was
 * told to come back later hears of it.
 */
const shortestMemory = 30_000
const longestMemory = 900_000
/** A prebuild's failure is known before anybody pulls: who does hears it at once. */
const prebuildMemory = 600_000
/** What was out of reach may be back at once: only the requests of one pull share that. */
const passingMemory = 3000
/** Failures remembered at a time; each may hold the end of a log. */
const mostFailures = 1000
/** Builds under way or waiting for Nix: beyond this, asking again later is the honest answer. */
const mostBuilds = 1000

export class BuildQueue<T> {
  readonly #flights = new SingleFlight<T>()
  readonly #failures = new LRUCache<string, Failure>({ max: mostFailures })

  /**
   * Joins the build of this key, or starts it. It runs to its end whoever still waits.
   * @throws Failure overloaded, or what the build throws
   */
  async join(key: string, cause: Cause, build: () => Promise<T>): Promise<T> {
    const remembered = this.#failures.get(key)
    // A prebuild has more time than a pull.
    const isPatient = cause === 'prebuild' && remembered?.kind === 'build-timed-out'
    if (remembered !== undefined && !isPatient) throw remembered
    if (this.#flights.size >= mostBuilds && !this.#flights.has(key)) {
      throw new Failure('overloaded', `${mostBuilds} builds are waiting: try again later`, {
        retryAfter: 30,
      })
    }
    return this.#flights.run(key, () => this.#build(key, cause, build))
  }

  /** Whether a build of this key runs. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /** Has those who ask for this key get a failure for a while. */
  remember(key: string, failure: Failure, cause: Cause, took = 0): void {
    this.#failures.set(key, failure, { ttl: memoryOf(failure, cause, took) })
  }

  /** Has the next who ask try again. */
  forgetFailures(): void {
    this.#failures.clear()
  }

  async #build(key: string, cause: Cause, build: () => Promise<T>): Promise<T> {
    const start = performance.now()
    try {
      const built = await build()
      this.#failures.delete(key)
      return built
    } catch (error) {
      if (error instanceof Failure) this.remember(key, error, cause, performance.now() - start)
      throw error
    }
  }
}

function memoryOf({ kind }: Failure, cause: Cause, took: number): number {
  if (kind === 'unavailable') return passingMemory
  const shortest = cause === 'prebuild' ? prebuildMemory : shortestMemory
  return Math.min(Math.max(took, shortest), longestMemory)
}
