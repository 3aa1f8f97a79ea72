/** One build per key at a time; a failure is remembered for a while, so that those who ask share it. */
import { LRUCache } from 'lru-cache'
import { Failure } from '../domain/errors.ts'
import { SingleFlight } from './single-flight.ts'

/** Milliseconds: docker asks twice for a tag that fails, HEAD and GET, and shows the second answer. */
const failureMemory = 30_000
/** Failures remembered at a time. */
const mostFailures = 10_000
/** Builds under way or waiting for Nix: beyond this, asking again later is the honest answer. */
const mostBuilds = 1000

export class BuildQueue<T> {
  readonly #flights = new SingleFlight<T>()
  readonly #failures = new LRUCache<string, Failure>({ max: mostFailures, ttl: failureMemory })

  /**
   * Joins the build of this key, or starts it. It runs to its end whoever still waits.
   * @throws Failure overloaded, or what the build throws
   */
  async join(key: string, build: () => Promise<T>): Promise<T> {
    const remembered = this.#failures.get(key)
    if (remembered !== undefined) throw remembered
    if (this.#flights.size >= mostBuilds && !this.#flights.has(key)) {
      throw new Failure('overloaded', `${mostBuilds} builds are waiting: try again later`, {
        retryAfter: 30,
      })
    }
    return this.#flights.run(key, () => this.#build(key, build))
  }

  async #build(key: string, build: () => Promise<T>): Promise<T> {
    try {
      return await build()
    } catch (error) {
      // What is out of reach may be back at once; a package that is broken stays broken.
      if (error instanceof Failure && error.kind !== 'unavailable') this.#failures.set(key, error)
      throw error
    }
  }
}
