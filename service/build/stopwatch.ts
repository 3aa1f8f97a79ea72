/** How long each stage of a piece of work took. */
export class Stopwatch {
  readonly #milliseconds: Record<string, number> = {}
  readonly #onStage: (stage: string, milliseconds: number) => void

  constructor(onStage: (stage: string, milliseconds: number) => void = () => {}) {
    this.#onStage = onStage
  }

  async time<T>(stage: string, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now()
    try {
      return await work()
    } finally {
      const milliseconds = Math.round(performance.now() - start)
      this.#milliseconds[stage] = milliseconds
      this.#onStage(stage, milliseconds)
    }
  }

  /** Milliseconds by stage, in the order in which the stages ended. */
  report(): { milliseconds: Record<string, number> } {
    return { milliseconds: { ...this.#milliseconds } }
  }
}
