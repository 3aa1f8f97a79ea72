/**
 * Divides Nix's builders among the Nix processes that run at the same time. `PriorityLimiter` limits the number of
 * these processes. Each of them starts several builders, whose number only `--max-jobs` limits.
 */

import { type Cause, reservedForPulls } from '../../concurrency/priority-limiter.ts'

export class BuilderSlots {
  #free: number
  /** Functions that wake the waiting callers, in order of arrival. */
  readonly #waiting: (() => void)[] = []

  /** @param builders most builders that prebuilds use at a time */
  constructor(builders: number) {
    this.#free = builders + reservedForPulls
  }

  /**
   * Waits for free builders, and calls `use` with half of their number. So a large build is fast on an idle
   * machine, and the next build still finds builders.
   */
  async run<T>(cause: Cause, use: (builders: number) => Promise<T>): Promise<T> {
    const reserved = cause === 'prebuild' ? reservedForPulls : 0
    while (this.#free <= reserved) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    const taken = Math.ceil((this.#free - reserved) / 2)
    this.#free -= taken
    try {
      return await use(taken)
    } finally {
      this.#free += taken
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }
}
