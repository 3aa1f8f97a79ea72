/** Packing threads: started when they are needed, and kept for a while, since starting one takes 100 ms or more. */
import { Worker } from 'node:worker_threads'
import PQueue from 'p-queue'
import { messageOf } from '../../domain/errors.ts'
import type { Equipment, Job, Outcome, Started } from './job.ts'

/** Milliseconds. The layers of an image follow one another closely; an idle thread takes some 20 MB. */
const defaultIdleTime = 30_000

/**
 * V8 looks for garbage each time it has made this much. Little of it is V8's own here, but each compressed
 * piece that passes by hangs on it: with the default, two threads take 80 MB more.
 */
const maxYoungGenerationSizeMb = 1

export interface ThreadPoolOptions {
  /** Most threads, and so most jobs at a time; other jobs wait, the first comes first. */
  readonly concurrency: number
  readonly equipment: Equipment
  /** Milliseconds after which a thread without a job is ended. @default 30 s */
  readonly idleTime?: number
  /** Called for each thread. */
  readonly onStarted?: (started: Started) => void
}

export class ThreadPool {
  readonly #queue: PQueue
  readonly #idleTime: number
  readonly #equipment: Equipment
  readonly #onStarted: (started: Started) => void
  readonly #all = new Set<Thread>()
  /** Threads without a job, the last used at the end, each with the timer that will end it. */
  readonly #idle = new Map<Thread, NodeJS.Timeout>()
  #closed = false

  constructor({ concurrency, equipment, idleTime, onStarted }: ThreadPoolOptions) {
    this.#queue = new PQueue({ concurrency })
    this.#equipment = equipment
    this.#idleTime = idleTime ?? defaultIdleTime
    this.#onStarted = onStarted ?? (() => {})
  }

  /** Threads there are, with a job or without. */
  get size(): number {
    return this.#all.size
  }

  /** Never rejects: a thread that dies is a failure of its job. */
  run(job: Job): Promise<Outcome> {
    return this.#queue.add(async () => {
      if (this.#closed) return failed('packing has been ended')
      const thread = this.#reuse() ?? this.#start()
      const outcome = await thread.run(job)
      this.#keep(thread)
      return outcome
    })
  }

  /** Starts a thread, so that the first job finds one. */
  prepare(): void {
    if (!this.#closed && this.#all.size === 0) this.#keep(this.#start())
  }

  /** Ends all threads, whatever they are doing. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#all].map((thread) => thread.end()))
  }

  /** Keeps a thread for the next job, for a while. */
  #keep(thread: Thread): void {
    if (!this.#all.has(thread)) return
    const timer = setTimeout(() => {
      // At once: nobody may be given a thread that is ending.
      this.#idle.delete(thread)
      void thread.end()
    }, this.#idleTime).unref()
    this.#idle.set(thread, timer)
  }

  #reuse(): Thread | undefined {
    const last = [...this.#idle].at(-1)
    if (last === undefined) return undefined
    const [thread, timer] = last
    clearTimeout(timer)
    this.#idle.delete(thread)
    return thread
  }

  #start(): Thread {
    const thread = new Thread(this.#equipment, this.#onStarted, () => {
      this.#all.delete(thread)
      clearTimeout(this.#idle.get(thread))
      this.#idle.delete(thread)
    })
    this.#all.add(thread)
    return thread
  }
}

class Thread {
  readonly #worker: Worker
  #settle: ((outcome: Outcome) => void) | undefined

  constructor(equipment: Equipment, started: (message: Started) => void, ended: () => void) {
    this.#worker = new Worker(new URL('thread.ts', import.meta.url), {
      name: 'packing',
      workerData: equipment,
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    // A thread without a job does not keep the process alive.
    this.#worker.unref()
    this.#worker.on('message', (message: Started | Outcome) => {
      if ('compressor' in message) started(message)
      else this.#settle?.(message)
    })
    this.#worker.on('error', (error) => {
      ended()
      this.#fail(messageOf(error))
    })
    this.#worker.on('exit', (code) => {
      ended()
      this.#fail(`exit code ${code}`)
    })
  }

  async run(job: Job): Promise<Outcome> {
    this.#worker.ref()
    try {
      return await new Promise((resolve) => {
        this.#settle = resolve
        this.#worker.postMessage(job)
      })
    } finally {
      this.#settle = undefined
      this.#worker.unref()
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #fail(reason: string): void {
    this.#settle?.(failed(`the packing thread ended: ${reason}`))
  }
}

function failed(message: string): Outcome {
  return { ok: false, message, code: undefined }
}
