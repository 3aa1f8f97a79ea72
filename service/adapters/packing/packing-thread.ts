/** A packing thread, as the service sees it: it does one thing after the other. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../../domain/errors.ts'
import type { Equipment, Job, Order, Outcome, Report } from './job.ts'

/**
 * V8 looks for garbage each time it has made this much. Little of it is V8's own here, but each buffer
 * that passes by hangs on it: with the default, two threads take 80 MB more.
 */
const maxYoungGenerationSizeMb = 1

export interface PackingThreadOptions {
  readonly equipment: Equipment
  readonly onStarted: (compressor: string) => void
  /** Called once, however it ends. */
  readonly onEnded: () => void
}

export class PackingThread {
  readonly #worker: Worker
  #onLarge: (pieces: SharedArrayBuffer) => void = () => {}
  #settle: ((outcome: Outcome | undefined) => void) | undefined

  constructor({ equipment, onStarted, onEnded }: PackingThreadOptions) {
    this.#worker = new Worker(new URL('thread.ts', import.meta.url), {
      name: 'packing',
      workerData: equipment,
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    // A thread without a job does not keep the process alive.
    this.#worker.unref()
    this.#worker.on('message', (report: Report) => {
      if (report.kind === 'started') onStarted(report.compressor)
      else if (report.kind === 'large') this.#onLarge(report.pieces)
      else this.#settle?.(report.kind === 'packed' ? report.outcome : undefined)
    })
    let problem = 'it was ended'
    this.#worker.on('error', (error) => {
      problem = messageOf(error)
    })
    this.#worker.on('exit', () => {
      onEnded()
      this.#settle?.({
        ok: false,
        message: `the packing thread ended: ${problem}`,
        code: undefined,
      })
    })
  }

  /**
   * Never rejects: that the thread dies is a failure of its job.
   * @param onLarge called with the pieces of a layer that others may help with, until it is packed
   */
  async pack(job: Job, onLarge: (pieces: SharedArrayBuffer) => void): Promise<Outcome> {
    this.#onLarge = onLarge
    const outcome = await this.#do({ kind: 'pack', job })
    return outcome ?? { ok: false, message: 'the packing thread told nothing', code: undefined }
  }

  /** Helps another thread, until its layer is packed or this one is dismissed. */
  async help(pieces: SharedArrayBuffer): Promise<void> {
    await this.#do({ kind: 'help', pieces })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  async #do(order: Order): Promise<Outcome | undefined> {
    this.#worker.ref()
    try {
      return await new Promise((resolve) => {
        this.#settle = resolve
        this.#worker.postMessage(order)
      })
    } finally {
      this.#settle = undefined
      this.#worker.unref()
    }
  }
}
