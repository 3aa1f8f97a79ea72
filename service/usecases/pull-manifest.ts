/** Answers pulls: from memory, from storage, or by building. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../domain/descriptor.ts'
import { Failure } from '../domain/errors.ts'
import type { ImageName } from '../domain/image-name.ts'
import { imageKey, type Recipe } from '../domain/keys.ts'
import type { Document } from '../domain/manifest.ts'
import type { BuilderLimit } from '../domain/ports.ts'
import type { Source } from '../domain/source.ts'
import type { ImageBuilds } from './image-builds.ts'
import type { LiveRevisions } from './live-revisions.ts'
import type { StoredImage, StoredImages } from './stored-images.ts'

/** Seconds after which a client that was told to wait should ask again. */
const retryAfter = 10

export interface PullManifestOptions {
  readonly source: Source
  readonly live: LiveRevisions
  readonly images: StoredImages
  readonly builds: ImageBuilds
  readonly recipe: Recipe
  /** Seconds that a pull waits for a build. */
  readonly pullWait: number
  readonly limit: BuilderLimit
  /** Told of an image that a pull has built, or waits for. */
  readonly onBuild?: (imageKey: string) => void
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
  async byTag(name: ImageName, tag: string): Promise<StoredImage> {
    const { source, live, images, builds, recipe, limit } = this.#options
    const pinned = await live.pin(name, await source.resolve(tag))
    const { revision } = pinned
    const key = imageKey(revision, name, recipe)
    const remembered = images.remembered(key)
    if (remembered !== undefined) return remembered
    this.#options.onBuild?.(key)
    const build = builds.get({ name, ...pinned, imageKey: key, cause: 'pull', limit })
    return this.#wait(build, `${name.text}:${tag}`)
  }

  /** A manifest as it is stored; undefined if there is none with this digest. */
  async byDigest(digest: Digest): Promise<Document | undefined> {
    return this.#options.images.document(digest)
  }

  /** Waits for a build within the limit. The build itself goes on in any case. */
  async #wait(build: Promise<StoredImage>, image: string): Promise<StoredImage> {
    const { pullWait } = this.#options
    const patience = new AbortController()
    const limit = sleep(pullWait * 1000, undefined, { signal: patience.signal, ref: false })
    try {
      const outcome = await Promise.race([build, limit])
      if (outcome !== undefined) return outcome
    } finally {
      patience.abort()
      limit.catch(() => {})
      build.catch(() => {})
    }
    throw new Failure(
      'still-building',
      `${image} is still being built after ${pullWait} seconds; the build goes on: pull again`,
      { retryAfter },
    )
  }
}
