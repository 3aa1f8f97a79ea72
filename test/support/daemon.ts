/** Programs that a test or benchmark starts and that run until it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds until a daemon that does not answer counts as failed. */
const startLimit = 60_000
const pollInterval = 50
/** Milliseconds that a daemon has to end after SIGTERM. */
const gracePeriod = 10_000

export interface DaemonOptions {
  /** Whole environment of the daemon. @default that of this process */
  readonly env?: NodeJS.ProcessEnv
  /** Rejects as long as the daemon does not answer. */
  readonly ask: () => Promise<unknown>
}

export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /**
   * Starts a daemon and waits until it answers.
   * @throws Error if it cannot be started, ends, or does not answer within a minute
   */
  static async start(
    program: string,
    args: readonly string[],
    { env = process.env, ask }: DaemonOptions,
  ): Promise<Daemon> {
    const child = spawn(program, args, { env, stdio: 'ignore' })
    await once(child, 'spawn')
    const daemon = new Daemon(child)
    try {
      await daemon.#untilAnswering(ask)
      return daemon
    } catch (error) {
      await daemon[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Ends the daemon, by SIGKILL if it does not end after SIGTERM. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), gracePeriod)
    await ended
    clearTimeout(timer)
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #untilAnswering(ask: () => Promise<unknown>): Promise<void> {
    const { spawnfile } = this.#child
    for (const start = Date.now(); Date.now() - start < startLimit; await sleep(pollInterval)) {
      if (this.#hasEnded) {
        const { exitCode, signalCode } = this.#child
        throw new Error(`${spawnfile} ended with ${exitCode ?? signalCode}`)
      }
      const isAnswering = await ask().then(
        () => true,
        () => false,
      )
      if (isAnswering) return
    }
    throw new Error(`${spawnfile} does not answer`)
  }
}
