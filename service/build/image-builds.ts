/** Images by their key: from storage, or built; each once at a time, whoever asks and however many. */

import { Failure } from '../image/errors.ts'
import type { Lease, WorkLeases } from '../queue/ports.ts'
import type { ImageStore, StoredImage } from '../storage/ports.ts'
import type { BuildImage } from './build-image.ts'
import type { BuildQueue } from './build-queue.ts'
import type { BuildRequest } from './ports.ts'

/** Seconds after which asking again makes sense when the storage lost what was just stored. */
const retryAfter = 10

export interface FoundImage {
  readonly image: StoredImage
  /** Whether it was there, or had to be built. */
  readonly outcome: 'record' | 'built'
}

export class ImageBuilds {
  readonly #queue: BuildQueue<FoundImage>
  readonly #images: ImageStore
  readonly #builds: BuildImage
  readonly #leases: WorkLeases

  constructor(
    queue: BuildQueue<FoundImage>,
    images: ImageStore,
    builds: BuildImage,
    leases: WorkLeases,
  ) {
    this.#queue = queue
    this.#images = images
    this.#builds = builds
    this.#leases = leases
  }

  /** @throws what the build throws, now or a short while ago; Failure overloaded */
  get(request: BuildRequest): Promise<FoundImage> {
    return this.#queue.join(request.imageKey, request.cause, () => this.#loadOrBuild(request))
  }

  /** What keeps other instances from building the image; undefined if one of them does, or has. */
  async claim(imageKey: string): Promise<Lease | undefined> {
    const lease = await this.#leases.take(imageKey)
    if (lease === undefined || !this.#leases.areShared) return lease
    try {
      if ((await this.#images.loadFresh(imageKey)) === undefined) return lease
    } catch (error) {
      await lease.release()
      throw error
    }
    await lease.release()
    return undefined
  }

  /** Whether somebody has asked already, and waits. */
  isUnderWay(imageKey: string): boolean {
    return this.#queue.has(imageKey)
  }

  /** Has those who ask for an image get a failure that was found without building it. */
  remember(imageKey: string, failure: Failure): void {
    this.#queue.remember(imageKey, failure, 'prebuild')
  }

  /** Has the next who ask try again whatever failed. */
  forgetFailures(): void {
    this.#queue.forgetFailures()
  }

  async #loadOrBuild(request: BuildRequest): Promise<FoundImage> {
    const { imageKey } = request
    const stored = await this.#images.load(imageKey)
    if (stored !== undefined) return { image: stored, outcome: 'record' }
    return this.#leases.findOrMake(
      imageKey,
      async () => {
        const made = await this.#images.loadFresh(imageKey)
        return made && { image: made, outcome: 'record' }
      },
      () => this.#build(request),
    )
  }

  async #build(request: BuildRequest): Promise<FoundImage> {
    const { imageKey, name } = request
    const { record, manifests } = await this.#builds.build(request)
    const built = await this.#images.keep(imageKey, record, manifests)
    if (built !== undefined) return { image: built, outcome: 'built' }
    throw new Failure('unavailable', `${name.text} was built, but the storage lost part of it`, {
      retryAfter,
    })
  }
}
