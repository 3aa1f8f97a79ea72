/**
 * Work of one kind, of which only so much runs at a time.
 *
 *     prebuilds ──► gate: C ──┐
 *                             ├──► places: C + 1
 *     pulls ──────────────────┘
 *
 * Prebuilds can hold no more than C places, so a pull never waits for a prebuild that has not started,
 * also on one core. Of those that wait for a place, pulls go first.
 */

import PQueue from 'p-queue'

/** Why work is done: a client waits for it, or it is done ahead. */
export type Cause = 'pull' | 'prebuild'

/**
 * Number that is kept free for pulls: of the places of a PriorityLimiter, which limits how much work runs, and of
 * the Nix builders that `BuilderSlots` divides among running Nix processes.
 */
export const reservedForPulls = 1

export class PriorityLimiter {
  readonly #gate: PQueue
  readonly #places: PQueue

  /** @param capacity C */
  constructor(capacity: number) {
    this.#gate = new PQueue({ concurrency: capacity })
    this.#places = new PQueue({ concurrency: capacity + reservedForPulls })
  }

  /** Pulls that wait for a place. */
  get waitingPulls(): number {
    return this.#places.sizeBy({ priority: 1 })
  }

  run<T>(cause: Cause, work: () => Promise<T>): Promise<T> {
    return cause === 'pull'
      ? this.#places.add(work, { priority: 1 })
      : this.#gate.add(() => this.#places.add(work))
  }
}
