/** Images by image key: loaded from the storage, or built once for all requests. */

import { Failure } from '../image/errors.ts'
import type { Lease, WorkLeases } from '../queue/ports.ts'
import type { ImageStore } from '../storage/ports.ts'
import type { BuildImage } from './build-image.ts'
import type { BuildRequest, FoundImage, ImageBuilds as ImageBuildsPort } from './ports.ts'
import type { RememberedFailures } from './remembered-failures.ts'
import { RunningBuilds } from './running-builds.ts'

/** Seconds after which a client should try again if the storage lost blobs that were just stored. */
const retryAfter = 10

export interface ImageBuildsOptions {
  readonly images: ImageStore
  readonly build: BuildImage
  readonly leases: WorkLeases
  readonly failures: RememberedFailures
}

export class ImageBuilds implements ImageBuildsPort {
  readonly #options: ImageBuildsOptions
  readonly #running = new RunningBuilds<FoundImage>()

  constructor(options: ImageBuildsOptions) {
    this.#options = options
  }

  async get(request: BuildRequest): Promise<FoundImage> {
    const { imageKey, cause } = request
    const failure = this.#options.failures.get(imageKey, cause)
    if (failure !== undefined) throw failure
    return this.#running.join(imageKey, () => this.#loadOrBuild(request))
  }

  async claim(imageKey: string): Promise<Lease | undefined> {
    const { images, leases } = this.#options
    const lease = await leases.take(imageKey)
    if (lease === undefined || !leases.areShared) return lease
    try {
      if ((await images.loadFresh(imageKey)) === undefined) return lease
    } catch (error) {
      await lease.release()
      throw error
    }
    await lease.release()
    return undefined
  }

  /** Returns whether a build of this image runs or waits for Nix. */
  isUnderWay(imageKey: string): boolean {
    return this.#running.has(imageKey)
  }

  /** Resolves when the builds that run now have ended, and have reported how. Never rejects. */
  ended(): Promise<void> {
    return this.#running.ended()
  }

  async #loadOrBuild(request: BuildRequest): Promise<FoundImage> {
    const { failures } = this.#options
    const { imageKey, cause } = request
    const start = performance.now()
    try {
      const found = (await this.#load(imageKey)) ?? (await this.#buildOnce(request))
      failures.forget(imageKey)
      return found
    } catch (error) {
      failures.note(imageKey, error, cause, performance.now() - start)
      throw error
    }
  }

  async #load(imageKey: string): Promise<FoundImage | undefined> {
    const image = await this.#options.images.load(imageKey)
    return image && { image, outcome: 'record' }
  }

  /** Builds the image on this instance, or waits until another instance has built it. */
  #buildOnce(request: BuildRequest): Promise<FoundImage> {
    const { images, leases } = this.#options
    const { imageKey } = request
    const find = async (): Promise<FoundImage | undefined> => {
      const image = await images.loadFresh(imageKey)
      return image && { image, outcome: 'record' }
    }
    return leases.findOrMake(imageKey, find, () => this.#build(request))
  }

  async #build(request: BuildRequest): Promise<FoundImage> {
    const { images, build } = this.#options
    const { imageKey, name } = request
    const { record, manifests } = await build.build(request)
    const image = await images.keep(imageKey, record, manifests)
    if (image !== undefined) return { image, outcome: 'built' }
    const message = `${name.text} was built, but the storage lost blobs of it: pull again`
    throw new Failure('unavailable', message, { retryAfter })
  }
}
