/** Packing threads: started when they are needed, and kept for a while, since starting one takes 100 ms or more. */
import PQueue from 'p-queue'
import type { Equipment, Job, Outcome } from './job.ts'
import { PackingThread } from './packing-thread.ts'
import { mostHelpers, type SharedPieces } from './shared-pieces.ts'

/** Milliseconds. The layers of an image follow one another closely; an idle thread takes some 20 MB. */
const defaultIdleTime = 30_000

export interface ThreadPoolOptions {
  /** Most threads, and so most jobs at a time; other jobs wait, the first comes first. */
  readonly concurrency: number
  readonly equipment: Equipment
  /** Milliseconds after which a thread without a job is ended. @default 30 s */
  readonly idleTime?: number
  /** Called for each thread, with the name of the compressor that it has found. */
  readonly onStarted?: (compressor: string) => void
}

/** A layer that is being packed, and that others may help with. */
interface Large {
  readonly pieces: SharedPieces
  helpers: number
  /** Helpers that have been told to leave, and are still there. */
  dismissed: number
}

export class ThreadPool {
  readonly #concurrency: number
  readonly #queue: PQueue
  readonly #idleTime: number
  readonly #equipment: Equipment
  readonly #onStarted: (compressor: string) => void
  readonly #all = new Set<PackingThread>()
  /** Threads without a job, the last used at the end, each with the timer that will end it. */
  readonly #idle = new Map<PackingThread, NodeJS.Timeout>()
  readonly #large = new Set<Large>()
  /** Jobs for which a helper has been dismissed. */
  readonly #waiting: ((thread: PackingThread | undefined) => void)[] = []
  #closed = false

  constructor({ concurrency, equipment, idleTime, onStarted }: ThreadPoolOptions) {
    this.#concurrency = concurrency
    this.#queue = new PQueue({ concurrency })
    this.#equipment = equipment
    this.#idleTime = idleTime ?? defaultIdleTime
    this.#onStarted = onStarted ?? (() => {})
  }

  /** Threads there are, with a job or without. */
  get size(): number {
    return this.#all.size
  }

  /** Threads that help another one. */
  get helping(): number {
    return [...this.#large].reduce((sum, { helpers }) => sum + helpers, 0)
  }

  /** Never rejects: a thread that dies is a failure of its job. */
  run(job: Job): Promise<Outcome> {
    return this.#queue.add(async () => {
      const thread = await this.#free()
      if (thread === undefined) {
        return { ok: false, message: 'packing has been ended', code: undefined }
      }
      let large: Large | undefined
      const outcome = await thread.pack(job, (pieces) => {
        large = { pieces, helpers: 0, dismissed: 0 }
        this.#large.add(large)
        for (const idle of [...this.#idle.keys()]) {
          if (!this.#help(idle)) break
        }
      })
      if (large) {
        this.#large.delete(large)
        // By itself it does so unless it died.
        large.pieces.close()
      }
      this.#release(thread)
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
    for (const admit of this.#waiting.splice(0)) admit(undefined)
    await Promise.all([...this.#all].map((thread) => thread.end()))
  }

  /** A thread for a job, or undefined at the end. */
  async #free(): Promise<PackingThread | undefined> {
    if (this.#closed) return undefined
    const last = [...this.#idle.keys()].at(-1)
    if (last !== undefined) return this.#wake(last)
    if (this.#all.size < this.#concurrency) return this.#start()
    const helped = [...this.#large].find(({ helpers, dismissed }) => helpers > dismissed)
    if (helped) {
      helped.dismissed += 1
      helped.pieces.dismiss()
    }
    return new Promise((admit) => this.#waiting.push(admit))
  }

  /** What a thread does that has done its work: what waits for it, else help, else nothing. */
  #release(thread: PackingThread): void {
    if (!this.#all.has(thread)) return
    const admit = this.#waiting.shift()
    if (admit) admit(thread)
    else if (this.#queue.size > 0 || !this.#help(thread)) this.#keep(thread)
  }

  /** @returns whether there is something to help with */
  #help(thread: PackingThread): boolean {
    const [large] = [...this.#large]
      .filter(({ pieces, helpers }) => pieces.isOpen && helpers < mostHelpers)
      .sort((a, b) => a.helpers - b.helpers)
    if (large === undefined) return false
    this.#wake(thread)
    large.helpers += 1
    void thread.help(large.pieces).then((worked) => {
      large.helpers -= 1
      large.dismissed = Math.max(0, large.dismissed - 1)
      if (!worked) this.#large.delete(large)
      this.#release(thread)
    })
    return true
  }

  /** Keeps a thread for the next job, for a while. */
  #keep(thread: PackingThread): void {
    const timer = setTimeout(() => {
      // At once: nobody may be given a thread that is ending.
      this.#idle.delete(thread)
      thread.retire()
    }, this.#idleTime).unref()
    this.#idle.set(thread, timer)
  }

  #wake(thread: PackingThread): PackingThread {
    clearTimeout(this.#idle.get(thread))
    this.#idle.delete(thread)
    return thread
  }

  #start(): PackingThread {
    const thread = new PackingThread({
      equipment: this.#equipment,
      onStarted: this.#onStarted,
      onEnded: () => {
        this.#all.delete(this.#wake(thread))
        if (!this.#closed) this.#waiting.shift()?.(this.#start())
      },
    })
    this.#all.add(thread)
    return thread
  }
}
