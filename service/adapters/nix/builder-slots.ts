/** Nix builders, shared by the Nix processes that run at the same time. */

/** Who asks: prebuilds never take the last builder, so that a pull always finds one. */
export type Urgency = 'pull' | 'prebuild'

export class BuilderSlots {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param total builders for prebuilds; pulls have one more */
  constructor(total: number) {
    this.#free = total + 1
  }

  /**
   * Runs `use` with a number of builders, and takes them back when it ends. It gets half of those that
   * are free: one big build is fast on an idle machine, and the next one still finds builders.
   */
  async with<T>(urgency: Urgency, use: (builders: number) => Promise<T>): Promise<T> {
    const reserved = urgency === 'prebuild' ? 1 : 0
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
