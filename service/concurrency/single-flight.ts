/** One run of a piece of work per key at a time, however many ask. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>()

  /** Joins the run of this key, or starts it. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = work().finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  has(key: string): boolean {
    return this.#running.has(key)
  }

  get size(): number {
    return this.#running.size
  }
}
