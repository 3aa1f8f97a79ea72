/** A fixed number of Nix builders, shared by the Nix processes that run at the same time. */

export class BuilderSlots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(total: number) {
    this.#free = total
  }

  /**
   * Runs `use` with a number of builders, and takes them back when it ends. It gets half of those that
   * are free: one big build is fast on an idle machine, and the next one still finds builders.
   */
  async with<T>(use: (builders: number) => Promise<T>): Promise<T> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const taken = Math.ceil(this.#free / 2)
    this.#free -= taken
    try {
      return await use(taken)
    } finally {
      this.#free += taken
      for (const wake of this.#waiting.splice(0, taken)) wake()
    }
  }
}
