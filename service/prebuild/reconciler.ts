/**
 * The loop that follows the package set: what should exist follows from git, what does exist from the
 * storage, and what is missing is built. It is level-triggered: a run looks at what is, not at what
 * happened, so a lost webhook, a crash or a second instance costs time, never correctness.
 */

import PQueue from 'p-queue'
import { messageOf } from '../image/errors.ts'
import { imageKey, type Recipe } from '../image/keys.ts'
import type { CommittedFiles, RefSource, Refs } from '../source/ports.ts'
import type { ImageRecord, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import {
  type DesiredImage,
  eachOnce,
  imagesOf,
  missingImages,
  type PrebuildConfig,
  refsInScope,
} from './desired-images.ts'
import type { FailedPrebuilds } from './failed-prebuilds.ts'
import type { PrebuildMetrics, PrebuildScope } from './ports.ts'
import type { Prebuild } from './prebuild.ts'
import type { Prebuilds } from './prebuilds.ts'
import type { PullCounter } from './pull-counter.ts'
import { prebuildConfigPath, readPrebuildConfig } from './slipway-json.ts'

/** Milliseconds before a fetch that failed is tried again: doubled each time, up to the longest. */
const firstRetry = 2000
const longestRetry = 300_000

/** RecordStore looked up at a time: enough to hide the latency of a bucket. */
const lookups = 16

export interface ReconcilerOptions {
  readonly source: RefSource
  readonly repository: CommittedFiles
  readonly images: RecordStore<ImageRecord>
  readonly pulls: PullCounter
  readonly prebuilds: Prebuilds
  readonly failed: FailedPrebuilds
  /** Has pulls try again what failed, too. */
  readonly forgetFailures: () => void
  readonly scope: PrebuildScope
  /** How many of the most pulled images are prebuilt besides the declared ones. */
  readonly popular: number
  readonly recipe: Recipe
  readonly metrics: PrebuildMetrics
  readonly log: Log
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  /** The last table whose refs were all dealt with. */
  #previous: Refs | undefined
  #running: Promise<void> | undefined
  #again = false
  /** The last fetch that was asked for. */
  #fetch: Promise<void> | undefined
  /** How often everything was to be looked at anew. */
  #retries = 0
  #failures = 0
  #retry: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** Asks for a fetch and a run, and returns at once. However many ask, one runs and one waits. */
  request(): void {
    const fetch = this.#options.source.refresh()
    // However many wait for one fetch, it fails once.
    if (fetch === this.#fetch) return
    this.#fetch = fetch
    fetch.then(
      () => this.run(),
      () => this.#fetchLater(),
    )
  }

  /** Has the refs that are known now dealt with: after each fetch, whoever asked for it. */
  run(): void {
    this.#again = true
    this.#running ??= this.#runs().finally(() => {
      this.#running = undefined
      // Asked for between the last look and this moment.
      if (this.#again && !this.#stopped) this.run()
    })
  }

  /** Forgets what does not build, and looks at everything anew. */
  retry(): void {
    this.#options.failed.clear()
    this.#options.forgetFailures()
    this.#options.prebuilds.retry()
    this.#previous = undefined
    this.#retries += 1
    this.run()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
  }

  async #runs(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false
      try {
        await this.#reconcile()
        this.#failures = 0
      } catch (error) {
        this.#options.log.warn({ failure: messageOf(error) }, 'reconcile failed')
        this.#options.metrics.reconciled('failed')
        this.#fetchLater()
      }
    }
  }

  async #reconcile(): Promise<void> {
    const { source, prebuilds, metrics, log } = this.#options
    const table = source.refs
    if (table === undefined || table === this.#previous) return
    const retries = this.#retries
    const missing = await this.#missing(table)
    const commits = new Set(table.refs.values())
    prebuilds.drop(({ revision }) => commits.has(revision.id))
    prebuilds.add(missing.map((image) => this.#prebuildOf(image)))
    if (retries === this.#retries) this.#previous = table
    metrics.reconciled(missing.length > 0 ? 'queued' : 'settled')
    log.info({ refs: table.refs.size, missing: missing.length }, 'reconciled')
  }

  /** The images that should exist and have no record, in the order in which they are wanted. */
  async #missing(table: Refs): Promise<readonly DesiredImage[]> {
    const { repository, pulls, scope, popular } = this.#options
    const dates = await repository.refDates()
    const previous = this.#previous
    const refs = refsInScope({ table, previous, dates, scope, now: Date.now() })
    // Refs that did not move were dealt with before; at start-up nothing was.
    const due = previous ? refs.filter(({ cause }) => cause === 'pushed') : refs
    const mostPulled = pulls.mostPulled(popular)
    const missing: DesiredImage[] = []
    for (const ref of due) {
      const images = imagesOf(ref, await this.#configAt(ref.ref, ref.commit), mostPulled)
      const settled = await this.#settled(images)
      missing.push(...missingImages(ref, images, (image) => settled.has(image)))
    }
    return eachOnce(missing)
  }

  /** What the package set declares at a commit; an invalid file is that ref's failure alone. */
  async #configAt(ref: string, commit: string): Promise<PrebuildConfig | undefined> {
    const { repository, log } = this.#options
    const text = await repository.readFile(commit, prebuildConfigPath)
    if (text === undefined) return undefined
    try {
      return readPrebuildConfig(text)
    } catch (error) {
      log.warn({ ref, commit, failure: messageOf(error) }, 'slipway.json is invalid')
      return undefined
    }
  }

  /** Those that have a record, or are known not to build. */
  async #settled(images: readonly DesiredImage[]): Promise<ReadonlySet<DesiredImage>> {
    const { images: records, failed } = this.#options
    const settled = new Set<DesiredImage>()
    const checks = images.map((image) => async () => {
      const key = this.#prebuildOf(image).imageKey
      if (failed.get(key) !== undefined || (await records.has(key))) settled.add(image)
    })
    await new PQueue({ concurrency: lookups }).addAll(checks)
    return settled
  }

  #prebuildOf({ ref, commit, name }: DesiredImage): Prebuild {
    const revision = { id: commit, ref }
    return { imageKey: imageKey(revision, name, this.#options.recipe), name, revision }
  }

  /** With jitter, so that instances which lost one remote do not come back to it all at once. */
  #fetchLater(): void {
    if (this.#stopped) return
    const delay = Math.min(firstRetry * 2 ** this.#failures, longestRetry)
    this.#failures += 1
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.request(), delay * (0.5 + Math.random())).unref()
  }
}
