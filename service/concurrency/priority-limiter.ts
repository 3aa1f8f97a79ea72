/**
 * Limits how much work of one kind runs at a time. Pulls go first.
 *
 *     prebuilds ──► gate: C ──┐
 *                             ├──► slots: C + 1
 *     pulls ──────────────────┘
 *
 * Prebuilds can hold at most C slots, so a pull never waits for a prebuild that has not started, even on one
 * core. When a slot becomes free, a waiting pull gets it before a waiting prebuild.
 */

import PQueue from 'p-queue'

/** Why work is done: a client waits for it, or it is done in advance. */
export type Cause = 'pull' | 'prebuild'

/** Slots of a PriorityLimiter, and Nix builders of `BuilderSlots`, that prebuilds leave free for pulls. */
export const reservedForPulls = 1

export class PriorityLimiter {
  readonly #gate: PQueue
  readonly #slots: PQueue

  /** @param capacity C in the drawing */
  constructor(capacity: number) {
    this.#gate = new PQueue({ concurrency: capacity })
    this.#slots = new PQueue({ concurrency: capacity + reservedForPulls })
  }

  /** Number of pulls that wait for a slot. */
  get waitingPulls(): number {
    return this.#slots.sizeBy({ priority: 1 })
  }

  run<T>(cause: Cause, work: () => Promise<T>): Promise<T> {
    return cause === 'pull'
      ? this.#slots.add(work, { priority: 1 })
      : this.#gate.add(() => this.#slots.add(work))
  }
}
