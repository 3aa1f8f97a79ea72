/** Runs work once per key at a time: concurrent callers with the same key share one run and its result. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>()

  /** Joins the running work of this key, or starts it. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = work().finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  /** Resolves when the work that runs now has ended. Never rejects. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running.values())
  }

  /** Returns whether work of this key is running. */
  has(key: string): boolean {
    return this.#running.has(key)
  }

  /** Number of keys with running work. */
  get size(): number {
    return this.#running.size
  }
}
