/** Builds that run or wait for Nix: at most one for each image key, and a limited number in total. */

import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure } from '../image/errors.ts'

/** Most builds at a time. A request for one more is answered with 429. */
const mostBuilds = 1000
/** Seconds after which the client should try again. */
const retryAfter = 30

export class RunningBuilds<T> {
  readonly #builds = new SingleFlight<T>()

  /**
   * Joins the build of this image, or starts it. The build runs to its end even if all clients disconnect.
   * @throws Failure overloaded, or what the build throws
   */
  async join(imageKey: string, build: () => Promise<T>): Promise<T> {
    if (this.#builds.size >= mostBuilds && !this.#builds.has(imageKey)) {
      const message = `${mostBuilds} builds are running or waiting: try again later`
      throw new Failure('overloaded', message, { retryAfter })
    }
    return this.#builds.run(imageKey, build)
  }

  /** Resolves when the builds that run now have ended. Never rejects. */
  ended(): Promise<void> {
    return this.#builds.ended()
  }

  has(imageKey: string): boolean {
    return this.#builds.has(imageKey)
  }
}
