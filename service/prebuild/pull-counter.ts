/**
 * Counts pulls by tag. Counts are kept in memory. Each instance saves its own counts in one record, and reads
 * those of the other instances from time to time. Client addresses are forgotten after some minutes and never
 * stored.
 */

import { LRUCache } from 'lru-cache'
import PQueue from 'p-queue'
import { z } from 'zod'
import { messageOf } from '../image/errors.ts'
import { canonicalName, type ImageName, parseImageName } from '../image/image-name.ts'
import type { RecordStore } from '../storage/ports.ts'
import { OutageLog } from '../telemetry/outage-log.ts'
import type { Log } from '../telemetry/ports.ts'
import type { PullCounting } from './ports.ts'
import { PullCounts, type PullSnapshot } from './pull-counts.ts'

/** Milliseconds within which another pull of the same image by the same client is not counted. */
const sameClientInterval = 10 * 60 * 1000
/** Most pairs of client and image that are remembered for that time: some megabytes. */
const mostRecent = 50_000
/** Milliseconds before a count is saved: a crash loses the counts of this time. */
const saveInterval = 30_000
/** Milliseconds between reads of the counts of other instances. */
const othersInterval = 600_000
/** Most records read at a time: enough to hide the latency of a bucket. */
const readers = 16

/** Record under `pulls/<instance>`. */
export const pullRecord: z.ZodType<PullSnapshot> = z.object({
  week: z.int().nonnegative(),
  weights: z.record(z.string(), z.number().nonnegative()),
})

export interface PullCounterOptions {
  readonly records: RecordStore<PullSnapshot>
  /** Name of this instance, and key of its record. */
  readonly instance: string
  readonly log: Log
}

export class PullCounter implements PullCounting {
  readonly #options: PullCounterOptions
  /** Pairs of client and image that were counted a short while ago. */
  readonly #recent = new LRUCache<string, true>({
    // Not `max`, for which LRUCache allocates all entries at once, at every start.
    maxSize: mostRecent,
    sizeCalculation: () => 1,
    ttl: sameClientInterval,
    // Milliseconds for which LRUCache reuses a reading of the clock.
    ttlResolution: 1000,
  })
  #own = new PullCounts(Date.now())
  /** Counts of the other instances; undefined until the storage has been read. */
  #others: PullSnapshot | undefined
  #othersRead = Number.NEGATIVE_INFINITY
  #isUnsaved = false
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  readonly #outage: OutageLog

  constructor(options: PullCounterOptions) {
    this.#options = options
    this.#outage = new OutageLog(options.log)
  }

  /**
   * Reads the counts of all instances. Pulls may be counted before that. If the storage is out of reach, the
   * failure is logged and the read is repeated later. Never rejects.
   */
  load(): Promise<void> {
    return this.flush()
  }

  count(name: ImageName, clientAddress: string): void {
    const image = canonicalName(name)
    const pull = `${clientAddress} ${image}`
    if (this.#recent.has(pull)) return
    this.#recent.set(pull, true)
    this.#own.add(image, Date.now())
    this.#isUnsaved = true
    this.#saveLater()
  }

  /** Returns the images with the most pulls on all instances, the most pulled first. */
  mostPulled(limit: number): readonly ImageName[] {
    const now = Date.now()
    if (performance.now() - this.#othersRead > othersInterval) this.#saveLater()
    const all = [this.#own.snapshot(now), ...(this.#others ? [this.#others] : [])]
    return PullCounts.merge(all, now).mostPulled(limit).map(parseImageName)
  }

  /** Saves the counts that are not saved yet. Never rejects. */
  async flush(): Promise<void> {
    // A save that is running may have read the counts before the latest pulls.
    await this.#saving
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
      if (this.#isUnsaved || this.#others === undefined) this.#saveLater()
    })
    await this.#saving
  }

  #saveLater(): void {
    if (this.#timer !== undefined || this.#saving !== undefined) return
    this.#timer = setTimeout(() => this.flush(), saveInterval).unref()
  }

  async #save(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      // Reads first: saving replaces the counts of this instance before its restart.
      if (performance.now() - this.#othersRead > othersInterval) await this.#read()
      if (this.#isUnsaved) await this.#write()
      this.#outage.recovered('pull counts can be stored again')
    } catch (error) {
      const failure = messageOf(error)
      this.#outage.failed({ failure }, 'pull counts cannot be stored; trying again')
    }
  }

  async #write(): Promise<void> {
    const { records, instance } = this.#options
    this.#isUnsaved = false
    try {
      await records.replace(instance, this.#own.snapshot(Date.now()))
    } catch (error) {
      this.#isUnsaved = true
      throw error
    }
  }

  async #read(): Promise<void> {
    const { records, instance } = this.#options
    const others: PullSnapshot[] = []
    let own: PullSnapshot | undefined
    const reads: (() => Promise<void>)[] = []
    const isFirst = this.#others === undefined
    for await (const key of records.keys()) {
      // Counts of this instance since its start are in memory.
      if (key === instance && !isFirst) continue
      reads.push(async () => {
        const snapshot = await records.get(key)
        if (snapshot === undefined) return
        if (key === instance) own = withImageNames(snapshot)
        else others.push(withImageNames(snapshot))
      })
    }
    await new PQueue({ concurrency: readers }).addAll(reads)
    const now = Date.now()
    if (own) this.#own = PullCounts.merge([own, this.#own.snapshot(now)], now)
    this.#others = PullCounts.merge(others, now).snapshot(now)
    this.#othersRead = performance.now()
  }
}

/** Returns the counts of valid image names: another version may have written other names. */
function withImageNames({ week, weights }: PullSnapshot): PullSnapshot {
  const known = Object.entries(weights).filter(([name]) => isImageName(name))
  return { week, weights: Object.fromEntries(known) }
}

function isImageName(text: string): boolean {
  try {
    parseImageName(text)
    return true
  } catch {
    return false
  }
}
