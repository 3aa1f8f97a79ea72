/** How long each stage of a piece of work took. */
export class Stopwatch {
  readonly #milliseconds: Record<string, number> = {}

  async time<T>(stage: string, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now()
    try {
      return await work()
    } finally {
      this.#milliseconds[stage] = Math.round(performance.now() - start)
    }
  }

  /** Milliseconds by stage, in the order in which the stages ended. */
  report(): { milliseconds: Record<string, number> } {
    return { milliseconds: { ...this.#milliseconds } }
  }
}
