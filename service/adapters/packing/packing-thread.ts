/** A packing thread, as the service sees it: it does one thing after the other. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../../image/errors.ts'
import type { Equipment, Job, Order, Outcome, Report } from './job.ts'
import { SharedPieces } from './shared-pieces.ts'

/**
 * V8 looks for garbage each time it has made this much. Little of it is V8's own here, but each buffer
 * that passes by hangs on it: with the default, two threads take 80 MB more.
 */
const maxYoungGenerationSizeMb = 1

/** How what it was told to do has ended. */
type Settled =
  | Exclude<Report, { kind: 'started' | 'large' }>
  | { readonly kind: 'ended'; readonly failure: string }

export interface PackingThreadOptions {
  readonly equipment: Equipment
  readonly onStarted: (compressor: string) => void
  /** Called once, however it ends. */
  readonly onEnded: () => void
}

export class PackingThread {
  readonly #worker: Worker
  #onLarge: (pieces: SharedPieces) => void = () => {}
  #settle: ((report: Settled) => void) | undefined

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
      else if (report.kind === 'large') this.#onLarge(new SharedPieces(report.pieces, report.layer))
      else this.#settle?.(report)
    })
    let failure = 'it was ended'
    this.#worker.on('error', (error) => {
      failure = messageOf(error)
    })
    this.#worker.on('exit', () => {
      onEnded()
      this.#settle?.({ kind: 'ended', failure })
    })
  }

  /**
   * Never rejects: that the thread dies is a failure of its job.
   * @param onLarge called with the pieces of a layer that others may help with, until it is packed
   */
  async pack(job: Job, onLarge: (pieces: SharedPieces) => void): Promise<Outcome> {
    this.#onLarge = onLarge
    const settled = await this.#do({ kind: 'pack', job })
    if (settled.kind === 'packed') return settled.outcome
    const failure = settled.kind === 'ended' ? settled.failure : 'it was sent to help'
    return { ok: false, message: `the packing thread ended: ${failure}`, code: undefined }
  }

  /**
   * Helps another thread, until its layer is packed or this one is dismissed.
   * @returns whether it could
   */
  async help(pieces: SharedPieces): Promise<boolean> {
    const { memory, layer } = pieces
    const settled = await this.#do({ kind: 'help', pieces: memory, layer })
    if (settled.kind === 'ended') pieces.helperDied()
    return settled.kind === 'helped' && settled.worked
  }

  /** Ends it now, whatever it does. */
  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  /** Has it end by itself: only so it can give back what is not JavaScript's. */
  retire(): void {
    this.#worker.postMessage({ kind: 'end' } satisfies Order)
  }

  async #do(order: Order): Promise<Settled> {
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
