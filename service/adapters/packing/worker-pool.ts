/** Schedules jobs on packing workers. Starting a worker takes 100 ms or more, so idle ones are kept for a while. */
import PQueue from 'p-queue'
import { maxHelpers, type SharedChunks } from './shared-chunks.ts'
import { WorkerHandle, type WorkerHandleOptions } from './worker-handle.ts'
import type { PackJob, PackOutcome, WorkerSettings, WorkerStarted } from './worker-messages.ts'

/** Milliseconds that an idle worker is kept: the next layer often follows soon. An idle worker takes some 20 MB. */
const defaultIdleTime = 30_000

type PoolWorker = Pick<WorkerHandle, 'pack' | 'help' | 'terminate'>

export interface WorkerPoolOptions {
  /** Maximum number of workers, and so of jobs at a time; further jobs wait in order. */
  readonly concurrency: number
  readonly settings: WorkerSettings
  /** Milliseconds after which an idle worker is terminated. @default 30 s */
  readonly idleTime?: number
  /** Called once for each worker. */
  readonly onStarted?: (started: WorkerStarted) => void
  /** Starts a worker. @default a thread */
  readonly startWorker?: (options: WorkerHandleOptions) => PoolWorker
}

/** A layer that is being packed, and that is large enough for helpers. */
interface LargeLayer {
  readonly chunks: SharedChunks
  helpers: number
  /** Number of helpers that were dismissed and have not left yet. */
  dismissed: number
}

export class WorkerPool {
  readonly #concurrency: number
  readonly #queue: PQueue
  readonly #idleTime: number
  readonly #settings: WorkerSettings
  readonly #onStarted: (started: WorkerStarted) => void
  readonly #startWorker: (options: WorkerHandleOptions) => PoolWorker
  readonly #all = new Set<PoolWorker>()
  /** Idle workers, the last used one last, each with the timer that terminates it. */
  readonly #idle = new Map<PoolWorker, NodeJS.Timeout>()
  readonly #largeLayers = new Set<LargeLayer>()
  /** Jobs that wait until a worker is free. */
  readonly #waiting: ((worker: PoolWorker | undefined) => void)[] = []
  #isClosed = false

  constructor(options: WorkerPoolOptions) {
    this.#concurrency = options.concurrency
    this.#queue = new PQueue({ concurrency: options.concurrency })
    this.#settings = options.settings
    this.#idleTime = options.idleTime ?? defaultIdleTime
    this.#onStarted = options.onStarted ?? (() => {})
    this.#startWorker = options.startWorker ?? ((handle) => new WorkerHandle(handle))
  }

  /** Number of workers, idle ones included. */
  get size(): number {
    return this.#all.size
  }

  /** Number of workers that help with a layer of another worker. */
  get helping(): number {
    return [...this.#largeLayers].reduce((sum, { helpers }) => sum + helpers, 0)
  }

  /** Runs a job. Never rejects: if the worker dies, the job has failed. */
  run(job: PackJob): Promise<PackOutcome> {
    return this.#queue.add(async () => {
      const worker = await this.#acquire()
      if (worker === undefined) {
        return { ok: false, message: 'the service is shutting down', code: undefined }
      }
      let large: LargeLayer | undefined
      const outcome = await worker.pack(job, (chunks) => {
        large = { chunks, helpers: 0, dismissed: 0 }
        this.#largeLayers.add(large)
        for (const idle of [...this.#idle.keys()]) {
          if (!this.#help(idle)) break
        }
      })
      if (large) {
        this.#largeLayers.delete(large)
        // A worker that died has not closed its chunks.
        large.chunks.close()
      }
      this.#release(worker)
      return outcome
    })
  }

  /** Starts a worker for the first job. */
  prepare(): void {
    if (!this.#isClosed && this.#all.size === 0) this.#keep(this.#start())
  }

  /** Terminates all workers, even in the middle of a job. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const assign of this.#waiting.splice(0)) assign(undefined)
    await Promise.all([...this.#all].map((worker) => worker.terminate()))
  }

  /** Returns a worker for a job; undefined if the pool is closed. */
  async #acquire(): Promise<PoolWorker | undefined> {
    if (this.#isClosed) return undefined
    const lastUsed = [...this.#idle.keys()].at(-1)
    if (lastUsed !== undefined) return this.#wake(lastUsed)
    if (this.#all.size < this.#concurrency) return this.#start()
    const helped = [...this.#largeLayers].find(({ helpers, dismissed }) => helpers > dismissed)
    if (helped) {
      helped.dismissed += 1
      helped.chunks.dismissHelper()
    }
    return new Promise((assign) => this.#waiting.push(assign))
  }

  /** Decides what a worker does next: a waiting job, else help with a large layer, else nothing. */
  #release(worker: PoolWorker): void {
    if (!this.#all.has(worker)) return
    const assign = this.#waiting.shift()
    if (assign) assign(worker)
    else if (this.#queue.size > 0 || !this.#help(worker)) this.#keep(worker)
  }

  /** Assigns a worker to the large layer that has the fewest helpers. Returns false if there is none. */
  #help(worker: PoolWorker): boolean {
    const [large] = [...this.#largeLayers]
      .filter(({ chunks, helpers }) => chunks.isOpen && helpers < maxHelpers)
      .sort((a, b) => a.helpers - b.helpers)
    if (large === undefined) return false
    this.#wake(worker)
    large.helpers += 1
    void worker.help(large.chunks).then((hasWorked) => {
      large.helpers -= 1
      large.dismissed = Math.max(0, large.dismissed - 1)
      if (!hasWorked) this.#largeLayers.delete(large)
      this.#release(worker)
    })
    return true
  }

  /** Keeps a worker for the next job, for a while. */
  #keep(worker: PoolWorker): void {
    const timer = setTimeout(() => {
      // Removed before the worker has ended, so that no job is assigned to it.
      this.#idle.delete(worker)
      void worker.terminate()
    }, this.#idleTime).unref()
    this.#idle.set(worker, timer)
  }

  #wake(worker: PoolWorker): PoolWorker {
    clearTimeout(this.#idle.get(worker))
    this.#idle.delete(worker)
    return worker
  }

  #start(): PoolWorker {
    const worker = this.#startWorker({
      settings: this.#settings,
      onStarted: this.#onStarted,
      onExit: () => {
        this.#all.delete(this.#wake(worker))
        if (!this.#isClosed) this.#waiting.shift()?.(this.#start())
      },
    })
    this.#all.add(worker)
    return worker
  }
}
