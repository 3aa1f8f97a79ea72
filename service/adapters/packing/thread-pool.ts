/** Packing threads: started when they are needed, and kept for a while, since starting one takes 100 ms or more. */
import { Worker } from 'node:worker_threads'
import PQueue from 'p-queue'
import { messageOf } from '../../domain/errors.ts'
import type { Job, Outcome } from './job.ts'

/** Milliseconds. The layers of an image follow one another closely; an idle thread takes some 20 MB. */
const defaultIdleTime = 30_000

/**
 * V8 looks for garbage each time it has made this much. Little of it is V8's own here, but each compressed
 * piece that passes by hangs on it: with the default, two threads take 80 MB more.
 */
const maxYoungGenerationSizeMb = 1

export class ThreadPool {
  readonly #queue: PQueue
  readonly #idleTime: number
  readonly #all = new Set<Thread>()
  /** Threads without a job, the last used at the end, each with the timer that will end it. */
  readonly #idle = new Map<Thread, NodeJS.Timeout>()
  #closed = false

  /** @param concurrency most threads, and so most jobs at a time; other jobs wait, the first comes first */
  constructor(concurrency: number, idleTime: number = defaultIdleTime) {
    this.#queue = new PQueue({ concurrency })
    this.#idleTime = idleTime
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
      if (this.#all.has(thread)) {
        const timer = setTimeout(() => {
          // At once: nobody may be given a thread that is ending.
          this.#idle.delete(thread)
          void thread.end()
        }, this.#idleTime).unref()
        this.#idle.set(thread, timer)
      }
      return outcome
    })
  }

  /** Ends all threads, whatever they are doing. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#all].map((thread) => thread.end()))
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
    const thread = new Thread(() => {
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

  constructor(ended: () => void) {
    this.#worker = new Worker(new URL('thread.ts', import.meta.url), {
      name: 'packing',
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    // A thread without a job does not keep the process alive.
    this.#worker.unref()
    this.#worker.on('message', (outcome: Outcome) => this.#settle?.(outcome))
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
