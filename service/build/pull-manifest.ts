/** Answers pulls: from memory, from storage, or by building. */

import type { Digest } from '../image/descriptor.ts'
import { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import { imageKey, type Recipe } from '../image/keys.ts'
import type { Document } from '../image/manifest.ts'
import type { Source } from '../source/ports.ts'
import type { ImageStore, StoredImage } from '../storage/ports.ts'
import type { ImageBuilds } from './image-builds.ts'
import type { LiveRevisions } from './live-revisions.ts'
import type { BuilderLimit, BuildMetrics } from './ports.ts'

/** Seconds after which a client that was told to wait should ask again. */
const retryAfter = 10

export interface PullManifestOptions {
  readonly source: Source
  readonly live: LiveRevisions
  readonly images: ImageStore
  readonly builds: ImageBuilds
  readonly recipe: Recipe
  /** Seconds that a pull waits for a build. */
  readonly pullWait: number
  readonly limit: BuilderLimit
  readonly metrics: BuildMetrics
  /** Told of an image that a pull has built, or waits for. */
  readonly onBuild?: (imageKey: string, build: Promise<unknown>) => void
}

export class PullManifest {
  readonly #options: PullManifestOptions

  constructor(options: PullManifestOptions) {
    this.#options = options
  }

  /**
   * The image that a tag names, built if need be.
   * @throws Failure manifest-unknown, evaluation-failed, build-failed, build-timed-out, still-building,
   *   overloaded, unavailable
   */
  byTag(name: ImageName, tag: string): Promise<StoredImage> {
    const found = this.#find(name, tag)
    found.catch(() => this.#options.metrics.manifestAnswered('failed'))
    return this.#within(found, `${name.text}:${tag}`)
  }

  /** Notes that an image was answered as before, without being asked for here. */
  repeated(): void {
    this.#options.metrics.manifestAnswered('record')
  }

  async #find(name: ImageName, tag: string): Promise<StoredImage> {
    const { source, live, images, builds, recipe, limit, metrics } = this.#options
    const pinned = await live.pin(name, await source.resolve(tag))
    const key = imageKey(pinned.revision, name, recipe)
    const remembered = images.remembered(key)
    if (remembered !== undefined) {
      metrics.manifestAnswered('record')
      return remembered
    }
    const joins = builds.isUnderWay(key)
    const build = builds.get({ name, ...pinned, imageKey: key, cause: 'pull', limit })
    this.#options.onBuild?.(key, build)
    const found = await build
    metrics.manifestAnswered(joins ? 'waited' : found.outcome)
    return found.image
  }

  /** A manifest as it is stored; undefined if there is none with this digest. */
  async byDigest(digest: Digest): Promise<Document | undefined> {
    return this.#options.images.document(digest)
  }

  /** Whatever a pull waits for, it waits no longer than the limit. The work itself goes on. */
  #within(work: Promise<StoredImage>, image: string): Promise<StoredImage> {
    const { pullWait } = this.#options
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `${image} is not ready after ${pullWait} seconds; the build goes on: pull again`
        reject(new Failure('still-building', message, { retryAfter }))
      }, pullWait * 1000).unref()
      work.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }
}
