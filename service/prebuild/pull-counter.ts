/**
 * Counts pulls by tag. Counting is a matter of memory; the storage is written now and then, each
 * instance its own record, and those of the others are read now and then. Who pulled is forgotten after minutes and never written.
 */

import { LRUCache } from 'lru-cache'
import PQueue from 'p-queue'
import { z } from 'zod'
import { messageOf } from '../image/errors.ts'
import { canonicalName, type ImageName, parseImageName } from '../image/image-name.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { PullCounts, type PullSnapshot } from './pull-counts.ts'

/** Milliseconds: a client that pulls an image again within them is not counted again. */
const sameClientInterval = 10 * 60 * 1000
/** Clients and images that are told apart within that time: some megabytes. */
const mostRecent = 50_000
/** Milliseconds that a count may be unsaved: what a crash loses. */
const saveInterval = 30_000
/** Milliseconds after which the counts of other instances are read again. */
const othersInterval = 600_000
/** RecordStore read at a time: enough to hide the latency of a bucket. */
const readers = 16

/** What is stored under `pulls/<instance>`. */
export const pullRecord: z.ZodType<PullSnapshot> = z.object({
  week: z.int().nonnegative(),
  weights: z.record(z.string(), z.number().nonnegative()),
})

export interface PullCounterOptions {
  readonly records: RecordStore<PullSnapshot>
  /** Key of the one record that this instance writes. */
  readonly instance: string
  readonly log: Log
}

export class PullCounter {
  readonly #options: PullCounterOptions
  /** Client and image of the pulls that were counted lately. */
  readonly #recent = new LRUCache<string, true>({
    // Not `max`: for that all of them would be given room at once, at each start.
    maxSize: mostRecent,
    sizeCalculation: () => 1,
    ttl: sameClientInterval,
    // Milliseconds between looks at the clock.
    ttlResolution: 1000,
  })
  #own = new PullCounts(Date.now())
  /** What the other instances had counted; undefined until the storage has been read. */
  #others: PullSnapshot | undefined
  #othersRead = Number.NEGATIVE_INFINITY
  #unsaved = false
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #disturbed = false

  constructor(options: PullCounterOptions) {
    this.#options = options
  }

  /**
   * Reads what all instances have counted. Counting may begin before. If the storage is out of reach,
   * that is logged, and tried again later. Never fails.
   */
  load(): Promise<void> {
    return this.flush()
  }

  /** Counts a request for a manifest by tag. No I/O. */
  count(name: ImageName, clientAddress: string): void {
    const image = canonicalName(name)
    const pull = `${clientAddress} ${image}`
    if (this.#recent.has(pull)) return
    this.#recent.set(pull, true)
    this.#own.add(image, Date.now())
    this.#unsaved = true
    this.#saveLater()
  }

  /** The images with the most pulls on all instances, the most pulled first. */
  mostPulled(limit: number): readonly ImageName[] {
    const now = Date.now()
    if (performance.now() - this.#othersRead > othersInterval) this.#saveLater()
    const all = [this.#own.snapshot(now), ...(this.#others ? [this.#others] : [])]
    return PullCounts.merge(all, now).mostPulled(limit).map(parseImageName)
  }

  /** Saves what is not saved yet, as before the end of the process. Never fails. */
  async flush(): Promise<void> {
    // What runs already may have looked at the counts before the latest of them.
    await this.#saving
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
      if (this.#unsaved || this.#others === undefined) this.#saveLater()
    })
    await this.#saving
  }

  #saveLater(): void {
    if (this.#timer !== undefined || this.#saving !== undefined) return
    this.#timer = setTimeout(() => this.flush(), saveInterval).unref()
  }

  async #save(): Promise<void> {
    const { log } = this.#options
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      // First, for saving replaces what this instance had counted before.
      if (performance.now() - this.#othersRead > othersInterval) await this.#read()
      if (this.#unsaved) await this.#write()
      if (this.#disturbed) log.info({}, 'pull counts can be stored again')
      this.#disturbed = false
    } catch (error) {
      // Of a state that lasts, once is enough.
      if (!this.#disturbed) {
        log.warn({ failure: messageOf(error) }, 'pull counts cannot be stored; trying again')
      }
      this.#disturbed = true
    }
  }

  async #write(): Promise<void> {
    const { records, instance } = this.#options
    this.#unsaved = false
    try {
      await records.replace(instance, this.#own.snapshot(Date.now()))
    } catch (error) {
      this.#unsaved = true
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
      // What this instance has counted since it began is in memory.
      if (key === instance && !isFirst) continue
      reads.push(async () => {
        const snapshot = await records.get(key)
        if (snapshot === undefined) return
        if (key === instance) own = withoutStrangers(snapshot)
        else others.push(withoutStrangers(snapshot))
      })
    }
    await new PQueue({ concurrency: readers }).addAll(reads)
    const now = Date.now()
    if (own) this.#own = PullCounts.merge([own, this.#own.snapshot(now)], now)
    this.#others = PullCounts.merge(others, now).snapshot(now)
    this.#othersRead = performance.now()
  }
}

/** Leaves out what is no image name, as another version may have written it. */
function withoutStrangers({ week, weights }: PullSnapshot): PullSnapshot {
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
