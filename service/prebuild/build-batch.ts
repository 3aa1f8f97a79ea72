/**
 * Builds a batch: images of one commit and platform. They are evaluated in one Nix process and realised in
 * one, and each is packed as soon as its own outputs are valid.
 *
 *     evaluate all ──► lease each ──► realise all ──► learn, if the registry is new ──► pack and publish each
 *                          └─► another instance builds it: wait for its image
 */

import type {
  BuilderLimit,
  BuildFailures,
  ImageBuilds,
  ImageEvaluation,
  NixStore,
} from '../build/ports.ts'
import { type EvaluatedPackage, storePathsOf } from '../closure/package.ts'
import type { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import { Failure, messageOf } from '../image/errors.ts'
import { canonicalName } from '../image/image-name.ts'
import type { ReleaseLearning } from '../layering/ports.ts'
import type { Lease } from '../queue/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Prebuild } from './desired-images.ts'

export interface BuildBatchOptions {
  readonly evaluation: ImageEvaluation
  readonly nix: NixStore
  readonly builds: ImageBuilds
  readonly failures: BuildFailures
  readonly planning: ReleaseLearning
  readonly nixLimiter: PriorityLimiter
  readonly limit: BuilderLimit
  readonly log: Log
}

/** Images of one commit and platform; at least one. */
export interface Batch {
  readonly images: readonly Prebuild[]
  /** Stops the batch before its realisation, or ends its builders. Images that are being packed go on. */
  readonly signal: AbortSignal
  /** Called once for each image. @param error why the image was not built; undefined if it was */
  readonly onEnd: (image: Prebuild, error?: unknown) => void
}

/** Image whose packages are known. */
interface Evaluated {
  readonly image: Prebuild
  readonly packages: readonly EvaluatedPackage[]
}

/** Image that this instance builds, and no other. */
interface Leased extends Evaluated {
  readonly lease: Lease
}

export class BuildBatch {
  readonly #options: BuildBatchOptions

  constructor(options: BuildBatchOptions) {
    this.#options = options
  }

  /** Resolves when every image has ended. Never rejects. */
  async build(batch: Batch): Promise<void> {
    const { nixLimiter, log } = this.#options
    const { images } = batch
    const revision = images[0]?.revision
    log.info({ revision: revision?.id, ref: revision?.ref, images: images.length }, 'prebuilding')
    const finishing: Promise<void>[] = []
    try {
      await nixLimiter.run('prebuild', () => this.#realise(batch, finishing))
    } catch (error) {
      for (const image of images) this.#fail(batch, image, error)
    }
    await Promise.all(finishing)
  }

  /**
   * Resolves when Nix has nothing more to do for the batch.
   * @param finishing receives a promise for each image that is packed here or built by another instance
   * @throws Failure for all images, for example if the package set cannot be evaluated; the signal's reason
   */
  async #realise(batch: Batch, finishing: Promise<void>[]): Promise<void> {
    const { nix, limit } = this.#options
    const { signal } = batch
    const evaluated = await this.#evaluate(batch)
    const leased = await this.#lease(batch, evaluated, finishing)
    if (leased.length === 0) return
    const packages = leased.map((image) => image.packages)
    const realised = nix.realiseEach(packages, { cause: 'prebuild', limit, signal })
    // Each is awaited below, but may reject before that.
    for (const outcome of realised) outcome.catch(() => {})
    await this.#learnFirstRelease(leased, realised)
    await Promise.all(
      leased.map(async (image, index) => {
        const { lease } = image
        try {
          await realised[index]
        } catch (error) {
          await lease.release()
          return this.#fail(batch, image.image, error)
        }
        finishing.push(this.#finish(batch, image, true).finally(() => lease.release()))
      }),
    )
  }

  /** Returns the images that can be evaluated; the others have failed. */
  async #evaluate(batch: Batch): Promise<Evaluated[]> {
    const { images, signal } = batch
    const [{ revision }] = images as readonly [Prebuild]
    const names = images.map(({ name }) => name)
    const outcomes = await this.#options.evaluation.batch(names, revision)
    signal.throwIfAborted()
    return outcomes.flatMap((outcome, index) => {
      const image = images[index] as Prebuild
      if (!(outcome instanceof Failure)) return [{ image, packages: outcome }]
      this.#fail(batch, image, outcome)
      return []
    })
  }

  /**
   * Returns the images that this instance builds.
   * @param finishing receives a promise for each image that another instance builds
   */
  async #lease(
    batch: Batch,
    evaluated: readonly Evaluated[],
    finishing: Promise<void>[],
  ): Promise<Leased[]> {
    const { builds } = this.#options
    const leased = await Promise.all(
      evaluated.map(async ({ image, packages }) => {
        try {
          const lease = await builds.claim(image.imageKey)
          if (lease !== undefined) return { image, packages, lease }
          finishing.push(this.#finish(batch, { image, packages }, false))
        } catch (error) {
          batch.onEnd(image, error)
        }
        return undefined
      }),
    )
    return leased.filter((image) => image !== undefined)
  }

  /**
   * Passes the images of a registry's first release to the planner before any of them is planned. This waits
   * until all of them are realised. Images of later releases do not wait, because the planner knows earlier
   * ones. Never rejects: if the planner learns nothing, layers share fewer bytes, but no image fails.
   */
  async #learnFirstRelease(
    images: readonly Evaluated[],
    realised: readonly Promise<void>[],
  ): Promise<void> {
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
      log.warn({ failure: messageOf(error) }, 'the layer planner could not learn the first release')
    }
  }

  /** Packs and publishes an image, or waits until another instance has published it. Never rejects. */
  async #finish(batch: Batch, { image, packages }: Evaluated, isRealised: boolean): Promise<void> {
    const { builds, limit } = this.#options
    try {
      await builds.get({ ...image, packages, realised: isRealised, cause: 'prebuild', limit })
      batch.onEnd(image)
    } catch (error) {
      // `get` has noted the failure already.
      batch.onEnd(image, error)
    }
  }

  /** Ends an image that failed before its build started. */
  #fail(batch: Batch, image: Prebuild, error: unknown): void {
    this.#options.failures.note(image.imageKey, error, 'prebuild')
    batch.onEnd(image, error)
  }
}
