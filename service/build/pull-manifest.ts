/** Answers pulls from memory, from the storage, or by a build. */

import type { Digest } from '../image/descriptor.ts'
import { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import { imageKey, type Recipe } from '../image/keys.ts'
import type { Document } from '../image/manifest.ts'
import type { Source } from '../source/ports.ts'
import type { ImageStore, StoredImage } from '../storage/ports.ts'
import type { ImageBuilds } from './image-builds.ts'
import type { LiveRevisions } from './live-revisions.ts'
import type { BuilderLimit, BuildMetrics, ManifestPull } from './ports.ts'

/** Seconds until a client should repeat a pull whose build goes on. */
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
  /** Called when a pull starts or joins a build. */
  readonly onBuild?: (imageKey: string, build: Promise<unknown>) => void
}

export class PullManifest implements ManifestPull {
  readonly #options: PullManifestOptions

  constructor(options: PullManifestOptions) {
    this.#options = options
  }

  byTag(name: ImageName, tag: string): Promise<StoredImage> {
    const found = this.#findOrBuild(name, tag)
    found.catch(() => this.#options.metrics.manifestAnswered('failed'))
    return this.#withinPullWait(found, `${name.text}:${tag}`)
  }

  async byDigest(digest: Digest): Promise<Document | undefined> {
    return this.#options.images.document(digest)
  }

  repeated(): void {
    this.#options.metrics.manifestAnswered('record')
  }

  async #findOrBuild(name: ImageName, tag: string): Promise<StoredImage> {
    const { source, live, images, builds, recipe, limit, metrics, onBuild } = this.#options
    const identified = await live.identify(name, await source.resolve(tag))
    const key = imageKey(identified.revision, name, recipe)
    const remembered = images.remembered(key)
    if (remembered !== undefined) {
      metrics.manifestAnswered('record')
      return remembered
    }
    const isUnderWay = builds.isUnderWay(key)
    const build = builds.get({ name, ...identified, imageKey: key, cause: 'pull', limit })
    onBuild?.(key, build)
    const { image, outcome } = await build
    metrics.manifestAnswered(isUnderWay ? 'waited' : outcome)
    return image
  }

  /** Rejects with still-building if the image is not there within `pullWait`. The build goes on. */
  #withinPullWait(found: Promise<StoredImage>, reference: string): Promise<StoredImage> {
    const { pullWait } = this.#options
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `${reference} is not ready after ${pullWait} seconds; the build goes on: pull again`
        reject(new Failure('still-building', message, { retryAfter }))
      }, pullWait * 1000).unref()
      found.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }
}
