/**
 * Room for layers that are packed and not stored yet. It is promised before a layer is packed, so that
 * a disk is not found full in the middle, and layers do not pile up before a slow line.
 */
import { Failure } from '../image/errors.ts'

/** Bytes left for everything else that writes to the same disk. */
const margin = 64 * 1024 * 1024
/** Milliseconds after which it is measured again: others write to the same disk, too. */
const measureInterval = 100
/** Bytes promised at a time, but for a single layer that is larger. */
const mostHeld = 4 * 1024 * 1024 * 1024
/** Seconds after which a full disk may have room again. */
const retryAfter = 30

export interface StagingSpaceOptions {
  readonly folder: string
  /** Bytes that can be written to the folder's file system. */
  readonly free: () => Promise<number>
}

interface Waiting {
  readonly size: number
  readonly admit: () => void
  readonly refuse: (error: unknown) => void
}

export class StagingSpace {
  readonly #options: StagingSpaceOptions
  readonly #waiting: Waiting[] = []
  #held = 0
  #holders = 0
  #looking = false
  #measured = { free: 0, at: Number.NEGATIVE_INFINITY }

  constructor(options: StagingSpaceOptions) {
    this.#options = options
  }

  /**
   * Does work that writes at most so many bytes there, when there is room for them.
   * @throws Failure unavailable, when there would not be even if nobody else wrote
   */
  async hold<T>(size: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((admit, refuse) => {
      this.#waiting.push({ size, admit, refuse })
      void this.#admit()
    })
    try {
      return await work()
    } finally {
      this.#held -= size
      // What was written may stay there.
      this.#measured.free -= size
      this.#holders -= 1
      void this.#admit()
    }
  }

  /** In the order in which they came: a large layer is not overtaken for ever by small ones. */
  async #admit(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        if (this.#holders > 0 && this.#held + next.size > mostHeld) return
        const wasCrowded = this.#holders > 0
        const needed = this.#held + next.size + margin
        const free = await this.#free(needed)
        // What holders have written counts twice, as taken and as promised: it delays, and refuses nobody.
        if (free < needed) {
          if (this.#holders > 0) return
          // Somebody left while it was measured: there is more by now.
          if (wasCrowded) continue
          next.refuse(this.#full(free, next.size))
        } else {
          this.#held += next.size
          this.#holders += 1
          next.admit()
        }
        this.#waiting.shift()
      }
    } finally {
      this.#looking = false
    }
  }

  /**
   * Bytes, as they were a moment ago if that is enough: the layers of an image come all at once. Whoever
   * cannot be told how much is free is told by the disk itself.
   */
  async #free(needed: number): Promise<number> {
    const { free, at } = this.#measured
    if (free >= needed && performance.now() - at < measureInterval) return free
    const measured = await this.#options.free().catch(() => Number.POSITIVE_INFINITY)
    this.#measured = { free: measured, at: performance.now() }
    return measured
  }

  #full(free: number, size: number): Failure {
    const needed = `a layer of up to ${megabytes(size)} cannot be packed in ${this.#options.folder}`
    const message = `${needed}: ${megabytes(free)} are free there, of which ${megabytes(margin)} stay free`
    return new Failure('unavailable', message, { retryAfter })
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / (1024 * 1024))} MiB`
}
