/**
 * Reconciles the storage with git: git says which images should exist, the storage says which do exist, and
 * the missing ones are queued. A run compares states, not events, so a lost webhook, a crash or a second
 * instance costs time, never correctness.
 */

import PQueue from 'p-queue'
import type { BuildFailures } from '../build/ports.ts'
import { messageOf } from '../image/errors.ts'
import type { CommittedFiles, RefSource, Refs } from '../source/ports.ts'
import type { ImageRecord, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { type DesiredImage, type DesiredImages, eachOnce, missingImages } from './desired-images.ts'
import type { PrebuildMetrics, PrebuildScope } from './ports.ts'
import type { PrebuildQueue } from './prebuild-queue.ts'
import { refsInScope } from './refs-in-scope.ts'

/** Milliseconds before a failed fetch is repeated: doubled after each failure, up to the longest. */
const firstRetry = 2000
const longestRetry = 300_000

/** Most records looked up at a time: enough to hide the latency of a bucket. */
const lookups = 16

export interface ReconcilerOptions {
  readonly source: RefSource
  readonly repository: CommittedFiles
  readonly desired: DesiredImages
  readonly images: RecordStore<ImageRecord>
  readonly queue: PrebuildQueue
  readonly failures: BuildFailures
  readonly scope: PrebuildScope
  readonly metrics: PrebuildMetrics
  readonly log: Log
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  /** The last ref table whose missing images were all queued. */
  #previous: Refs | undefined
  #running: Promise<void> | undefined
  #isRunRequested = false
  /** The last fetch that `request` has waited for. */
  #fetch: Promise<void> | undefined
  /** Calls of `retry`: a run that started before the last of them does not set `#previous`. */
  #retryCalls = 0
  /** Fetches and runs that failed since the last successful run. */
  #failedAttempts = 0
  #fetchTimer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** Requests a fetch and a run, and returns at once. Concurrent requests share a fetch. */
  request(): void {
    const fetch = this.#options.source.refresh()
    // Requests that share a fetch count its failure once.
    if (fetch === this.#fetch) return
    this.#fetch = fetch
    fetch.then(
      () => this.run(),
      () => this.#fetchLater(),
    )
  }

  /** Reconciles the refs that are known now. During a run, another run is requested. */
  run(): void {
    this.#isRunRequested = true
    this.#running ??= this.#runUntilDone().finally(() => {
      this.#running = undefined
      // A run may have been requested after the last check of the loop.
      if (this.#isRunRequested && !this.#isStopped) this.run()
    })
  }

  /** Forgets all failed builds, queues their images, and reconciles as after a start. */
  retry(): void {
    const { failures, queue } = this.#options
    failures.clear()
    queue.retry()
    this.#previous = undefined
    this.#retryCalls += 1
    this.run()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#fetchTimer)
  }

  async #runUntilDone(): Promise<void> {
    while (this.#isRunRequested && !this.#isStopped) {
      this.#isRunRequested = false
      try {
        await this.#reconcile()
        this.#failedAttempts = 0
      } catch (error) {
        this.#options.log.warn({ failure: messageOf(error) }, 'reconcile failed')
        this.#options.metrics.reconciled('failed')
        this.#fetchLater()
      }
    }
  }

  async #reconcile(): Promise<void> {
    const { source, queue, metrics, log } = this.#options
    const table = source.refs
    if (table === undefined || table === this.#previous) return
    const retryCalls = this.#retryCalls
    const missing = await this.#missing(table)
    const commits = new Set(table.refs.values())
    queue.drop(({ revision }) => commits.has(revision.id))
    queue.add(missing)
    if (retryCalls === this.#retryCalls) this.#previous = table
    metrics.reconciled(missing.length > 0 ? 'queued' : 'settled')
    log.info({ refs: table.refs.size, missing: missing.length }, 'reconciled')
  }

  /** Returns the images that should exist and have no record, in the order in which they are built. */
  async #missing(table: Refs): Promise<readonly DesiredImage[]> {
    const { repository, desired, scope, log } = this.#options
    const dates = await repository.refDates()
    const previous = this.#previous
    const refs = refsInScope({ table, previous, dates, scope, now: Date.now() })
    // Refs that did not move were reconciled with the previous table.
    const due = previous ? refs.filter(({ cause }) => cause === 'pushed') : refs
    const missing: DesiredImage[] = []
    for (const { ref, images, failure } of await desired.of(due)) {
      if (failure !== undefined) {
        const fields = { ref: ref.ref, commit: ref.commit, failure: failure.message }
        log.warn(fields, 'slipway.json is invalid')
      }
      const done = await this.#done(images)
      missing.push(...missingImages(ref, images, (image) => done.has(image)))
    }
    return eachOnce(missing)
  }

  /** Returns the images that have a record, or are known not to build. */
  async #done(images: readonly DesiredImage[]): Promise<ReadonlySet<DesiredImage>> {
    const { images: records, failures } = this.#options
    const done = new Set<DesiredImage>()
    const checks = images.map((image) => async () => {
      const { imageKey } = image
      const isBroken = failures.get(imageKey, 'prebuild') !== undefined
      if (isBroken || (await records.has(imageKey))) done.add(image)
    })
    await new PQueue({ concurrency: lookups }).addAll(checks)
    return done
  }

  /** Requests a fetch later. The jitter keeps several instances from returning to a remote at the same time. */
  #fetchLater(): void {
    if (this.#isStopped) return
    const delay = Math.min(firstRetry * 2 ** this.#failedAttempts, longestRetry)
    this.#failedAttempts += 1
    clearTimeout(this.#fetchTimer)
    this.#fetchTimer = setTimeout(() => this.request(), delay * (0.5 + Math.random())).unref()
  }
}
