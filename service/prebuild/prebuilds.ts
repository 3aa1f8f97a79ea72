/**
 * Builds images before anybody asks. The images of one commit are one batch: evaluated in one Nix
 * process and realised in one, and each is packed as soon as its own outputs are there.
 */

import type { BuilderLimit, ImageBuilds, ImageEvaluation, NixStore } from '../build/ports.ts'
import { type EvaluatedPackage, storePathsOf } from '../closure/package.ts'
import type { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import { Failure, messageOf } from '../image/errors.ts'
import { canonicalName } from '../image/image-name.ts'
import type { ReleaseLearning } from '../layering/ports.ts'
import type { Lease } from '../queue/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { FailedPrebuilds } from './failed-prebuilds.ts'
import { isForTag, type Prebuild } from './prebuild.ts'
import { defaultRetryDelays, PrebuildRetries } from './prebuild-retries.ts'

export interface PrebuildsOptions {
  readonly evaluation: ImageEvaluation
  readonly nix: NixStore
  readonly builds: ImageBuilds
  readonly failed: FailedPrebuilds
  readonly planning: ReleaseLearning
  readonly nixLimiter: PriorityLimiter
  readonly limit: BuilderLimit
  /** Batches at a time. */
  readonly concurrency: number
  readonly log: Log
  /** Milliseconds before each further attempt after a failure that may pass. @default 5 s, 20 s, 60 s */
  readonly retryDelays?: readonly number[]
}

/** Images of one commit and platform that are built together. */
interface Batch {
  readonly images: readonly Prebuild[]
  /** Image keys of those of them whose end is not known yet. */
  readonly keys: Set<string>
  readonly abort: AbortController
}

/** An image whose packages can be evaluated. */
interface Sound {
  readonly image: Prebuild
  readonly packages: readonly EvaluatedPackage[]
}

interface Claimed extends Sound {
  readonly lease: Lease
}

const unwanted = new Error('no ref leads to the commit any more')

export class Prebuilds {
  readonly #options: PrebuildsOptions
  /** By image key, in the order in which they are to be built. */
  readonly #waiting = new Map<string, Prebuild>()
  readonly #retries: PrebuildRetries
  readonly #batches = new Set<Batch>()
  #stopped = false

  constructor(options: PrebuildsOptions) {
    this.#options = options
    const { retryDelays = defaultRetryDelays } = options
    this.#retries = new PrebuildRetries(retryDelays, (image) => this.add([image]))
  }

  /** Images that have not been started. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Those of them that a tag, or a branch, wants. */
  waitingFor(kind: 'tag' | 'branch'): number {
    const images = [...this.#waiting.values()]
    return images.filter((image) => isForTag(image) === (kind === 'tag')).length
  }

  /** How far an image is; undefined if it is not prebuilt at the moment. */
  stateOf(imageKey: string): 'queued' | 'building' | undefined {
    if (this.#batches.values().some(({ keys }) => keys.has(imageKey))) return 'building'
    return this.#waiting.has(imageKey) ? 'queued' : undefined
  }

  /** Adds images behind those that wait; those that wait already keep their place. */
  add(images: readonly Prebuild[]): void {
    for (const image of images) {
      const waiting = this.#waiting.get(image.imageKey)
      const isUrgent = waiting !== undefined && isForTag(image) && !isForTag(waiting)
      if (waiting !== undefined ? isUrgent : !this.#isBuilding(image)) {
        this.#waiting.set(image.imageKey, image)
      }
    }
    this.#startBatches()
  }

  /**
   * Forgets images that are not wanted any more: those that have not been started, and a batch that
   * runs and of which none is wanted. Who pulls one of them has a build of their own.
   */
  drop(isWanted: (image: Prebuild) => boolean): void {
    for (const [key, image] of this.#waiting) if (!isWanted(image)) this.#waiting.delete(key)
    for (const { images, abort } of this.#batches) if (!images.some(isWanted)) abort.abort(unwanted)
    this.#retries.drop(isWanted)
  }

  /** Adds what failed, whatever the cause and however old its ref. */
  retry(): void {
    this.add(this.#retries.takeAll())
  }

  #isBuilding({ imageKey }: Prebuild): boolean {
    return this.#batches
      .values()
      .some(({ keys, abort }) => keys.has(imageKey) && !abort.signal.aborted)
  }

  /**
   * Somebody pulls an image: it is built for them, and need not be built here, unless that fails for a cause
   * that does not hold here. A prebuild has more time, for one.
   */
  take(imageKey: string, build: Promise<unknown>): void {
    const image = this.#waiting.get(imageKey)
    if (image === undefined) return
    this.#waiting.delete(imageKey)
    build.catch((error: unknown) => {
      const { failed } = this.#options
      const isTimeOut = error instanceof Failure && error.kind === 'build-timed-out'
      if (isTimeOut || !failed.note(imageKey, error)) this.add([image])
    })
  }

  /** Starts nothing more. */
  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
    this.#retries.stop()
  }

  #startBatches(): void {
    while (!this.#stopped && this.#batches.size < this.#options.concurrency) {
      const images = this.#nextImages()
      if (images.length === 0) return
      const keys = new Set(images.map(({ imageKey }) => imageKey))
      const batch = { images, keys, abort: new AbortController() }
      this.#batches.add(batch)
      this.#build(batch).finally(() => {
        this.#batches.delete(batch)
        this.#startBatches()
      })
    }
  }

  /** All that waits of one commit and platform: the first that a tag wants, else the first. */
  #nextImages(): Prebuild[] {
    const waiting = this.#waiting.values()
    const first = waiting.find(isForTag) ?? this.#waiting.values().next().value
    if (first === undefined) return []
    const batch = [...this.#waiting.values()].filter(
      ({ name, revision }) =>
        revision.id === first.revision.id && name.platform.system === first.name.platform.system,
    )
    for (const { imageKey } of batch) this.#waiting.delete(imageKey)
    return batch
  }

  /** Never fails: each image's end is its own. */
  async #build(batch: Batch): Promise<void> {
    const { nixLimiter, log } = this.#options
    const { images } = batch
    const revision = images[0]?.revision
    log.info({ revision: revision?.id, ref: revision?.ref, images: images.length }, 'prebuilding')
    const packing: Promise<void>[] = []
    try {
      await nixLimiter.run('prebuild', () => this.#realise(batch, packing))
    } catch (error) {
      for (const image of images) this.#fail(image, error)
    }
    await Promise.all(packing)
  }

  /** Ends when Nix has nothing more to do for the batch; images that are ready are packed meanwhile. */
  async #realise({ images, abort }: Batch, packing: Promise<void>[]): Promise<void> {
    const { evaluation, nix, limit } = this.#options
    const { signal } = abort
    const [{ revision }] = images as readonly [Prebuild]
    const names = images.map(({ name }) => name)
    const outcomes = await evaluation.batch(names, revision)
    const sound: Sound[] = []
    if (signal.aborted) throw signal.reason
    for (const [index, image] of images.entries()) {
      const outcome = outcomes[index]
      if (Array.isArray(outcome)) sound.push({ image, packages: outcome })
      else this.#fail(image, outcome)
    }
    const claimed = await this.#claim(sound, packing)
    if (claimed.length === 0) return
    const realised = nix.realiseEach(
      claimed.map(({ packages }) => packages),
      { cause: 'prebuild', limit, signal },
    )
    // Awaited below; one may fail before.
    for (const outcome of realised) outcome.catch(() => {})
    await this.#introduce(claimed, realised)
    await Promise.all(
      claimed.map(async ({ image, packages, lease }, index) => {
        try {
          await realised[index]
        } catch (error) {
          await lease.release()
          return this.#fail(image, error)
        }
        packing.push(this.#finish(image, packages, true).finally(() => lease.release()))
      }),
    )
  }

  /**
   * The first images of a registry are cut as one release, so all are waited for. Later ones are cut like
   * those before them, and each is packed as soon as it is there. Never fails: what is not learned costs
   * bytes, and no image.
   */
  async #introduce(images: readonly Sound[], realised: readonly Promise<void>[]): Promise<void> {
    const { nix, planning, log } = this.#options
    try {
      if (images.length < 2 || !(await planning.isNew())) return
      const outcomes = await Promise.allSettled(realised)
      const served = images
        .filter((_, index) => outcomes[index]?.status === 'fulfilled')
        .map(async ({ image, packages }) => {
          const closure = await nix.closure([...new Set(packages.flatMap(storePathsOf))])
          return { name: canonicalName(image.name), closure }
        })
      await planning.learn(await Promise.all(served))
    } catch (error) {
      log.warn({ failure: messageOf(error) }, 'a first release could not be learned')
    }
  }

  /** Those that this instance is to build. Of the others it is awaited that another instance has. */
  async #claim(images: readonly Sound[], packing: Promise<void>[]): Promise<Claimed[]> {
    const { builds } = this.#options
    const claims = await Promise.all(
      images.map(async ({ image, packages }) => {
        try {
          const lease = await builds.claim(image.imageKey)
          if (lease !== undefined) return { image, packages, lease }
          packing.push(this.#finish(image, packages, false))
        } catch (error) {
          this.#fail(image, error)
        }
        return undefined
      }),
    )
    return claims.filter((claim) => claim !== undefined)
  }

  /** @param realised whether the outputs are valid already */
  async #finish(
    image: Prebuild,
    packages: readonly EvaluatedPackage[],
    realised: boolean,
  ): Promise<void> {
    const { builds, failed, limit } = this.#options
    try {
      await builds.get({ ...image, packages, realised, cause: 'prebuild', limit })
      failed.forget(image.imageKey)
      this.#retries.forget(image)
    } catch (error) {
      this.#fail(image, error)
    }
  }

  /** A fault of the package stays; whatever else went wrong may pass, and is tried again. */
  #fail(image: Prebuild, error: unknown): void {
    const { builds, failed, log } = this.#options
    for (const { keys } of this.#batches) keys.delete(image.imageKey)
    const { imageKey, name, revision } = image
    const fields = { image: name.text, revision: revision.id, failure: messageOf(error) }
    if (error === unwanted) {
      log.info(fields, 'prebuild given up')
      return
    }
    if (failed.note(imageKey, error)) {
      if (error instanceof Failure) builds.remember(imageKey, error)
      log.warn(fields, 'image cannot be prebuilt')
      this.#retries.broken(image)
      return
    }
    log.warn({ ...fields, attempts: this.#retries.later(image) }, 'prebuild failed')
  }
}
