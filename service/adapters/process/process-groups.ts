import { type RunOptions, type RunResult, runInGroup } from './run.ts'

/** All programs that the service runs. Shutdown ends them. */
export class ProcessGroups {
  readonly #running = new Set<Promise<RunResult>>()
  readonly #shutdown = new AbortController()

  /** Aborts when the service shuts down. */
  get shutdown(): AbortSignal {
    return this.#shutdown.signal
  }

  /** Like `runInGroup`. @throws Error also if `killAll` has ended the run, or was called before */
  async run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    const signal = options.signal ? AbortSignal.any([options.signal, this.shutdown]) : this.shutdown
    const run = runInGroup(file, args, { ...options, signal })
    this.#running.add(run)
    try {
      return await run
    } finally {
      this.#running.delete(run)
    }
  }

  /** Ends all programs, and resolves when none is left. No program can be started afterwards. */
  async killAll(): Promise<void> {
    this.#shutdown.abort(new Error('the service is shutting down'))
    await Promise.allSettled(this.#running)
  }
}
