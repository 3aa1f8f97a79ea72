/**
 * Disk space for layers that are packed but not stored yet. Space is reserved before a layer is packed, so
 * that the disk does not run full in the middle, and so that layers do not pile up in front of a slow
 * upload.
 */
import { Failure } from '../image/errors.ts'
import type { DiskSpace } from './ports.ts'

/** Bytes that stay free for everything else on the same disk. */
const margin = 64 * 1024 * 1024
/** Milliseconds that a measurement is used. Other programs write to the same disk. */
const measureInterval = 100
/** Most bytes reserved at a time. A single larger layer is allowed when nothing else is reserved. */
const mostReserved = 4 * 1024 * 1024 * 1024
/** Seconds after which a full disk may have space again. */
const retryAfter = 30

export interface StagingSpaceOptions {
  readonly folder: string
  /** Returns the free bytes of the folder's file system. */
  readonly free: () => Promise<number>
}

interface Waiting {
  readonly size: number
  readonly admit: () => void
  readonly reject: (error: unknown) => void
}

export class StagingSpace implements DiskSpace {
  readonly #options: StagingSpaceOptions
  readonly #waiting: Waiting[] = []
  /** Bytes. */
  #reserved = 0
  #reservations = 0
  #isAdmitting = false
  #measured = { free: 0, at: Number.NEGATIVE_INFINITY }

  constructor(options: StagingSpaceOptions) {
    this.#options = options
  }

  async hold<T>(size: number, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((admit, reject) => {
      this.#waiting.push({ size, admit, reject })
      void this.#admit()
    })
    try {
      return await work()
    } finally {
      this.#reserved -= size
      // The written bytes may stay on the disk.
      this.#measured.free -= size
      this.#reservations -= 1
      void this.#admit()
    }
  }

  /** Admits in order of arrival, so that small layers do not overtake a large one for ever. */
  async #admit(): Promise<void> {
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        if (this.#reservations > 0 && this.#reserved + next.size > mostReserved) return
        const wasReserved = this.#reservations > 0
        const needed = this.#reserved + next.size + margin
        const free = await this.#free(needed)
        // Bytes already written under a reservation count twice, as used and as reserved. That can only delay
        // a layer: no layer fails while there are reservations.
        if (free < needed) {
          if (this.#reservations > 0) return
          // A reservation ended during the measurement, so measure again.
          if (wasReserved) continue
          next.reject(this.#full(free, next.size))
        } else {
          this.#reserved += next.size
          this.#reservations += 1
          next.admit()
        }
        this.#waiting.shift()
      }
    } finally {
      this.#isAdmitting = false
    }
  }

  /**
   * Returns the free bytes. Uses the last measurement if it is recent and large enough, because the layers
   * of an image arrive together. Returns Infinity if the measurement fails: then writing reports a full
   * disk.
   */
  async #free(needed: number): Promise<number> {
    const { free, at } = this.#measured
    if (free >= needed && performance.now() - at < measureInterval) return free
    const measured = await this.#options.free().catch(() => Number.POSITIVE_INFINITY)
    this.#measured = { free: measured, at: performance.now() }
    return measured
  }

  #full(free: number, size: number): Failure {
    const failed = `a layer of up to ${megabytes(size)} cannot be packed in ${this.#options.folder}`
    const message = `${failed}: ${megabytes(free)} are free there, of which ${megabytes(margin)} stay free`
    return new Failure('unavailable', message, { retryAfter })
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / (1024 * 1024))} MiB`
}
