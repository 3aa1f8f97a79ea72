/**
 * Prebuilds that wait, and the batches that run. All waiting images of one commit and platform are built as
 * one batch; images of tags go before images of branches.
 */

import type { BuildFailures } from '../build/ports.ts'
import { Failure, messageOf } from '../image/errors.ts'
import { isTagRef } from '../image/ref-name.ts'
import type { Log } from '../telemetry/ports.ts'
import type { BuildBatch } from './build-batch.ts'
import type { Prebuild } from './desired-images.ts'
import { PrebuildRetries } from './prebuild-retries.ts'

export interface PrebuildQueueOptions {
  readonly batches: BuildBatch
  readonly failures: BuildFailures
  /** Most batches at a time. */
  readonly concurrency: number
  readonly log: Log
}

interface RunningBatch {
  readonly images: readonly Prebuild[]
  /** Keys of the images that have not ended. */
  readonly imageKeys: Set<string>
  readonly abort: AbortController
}

const unwanted = new Error('no ref leads to the commit now')

export class PrebuildQueue {
  readonly #options: PrebuildQueueOptions
  /** By image key, in the order in which they are built. */
  readonly #waiting = new Map<string, Prebuild>()
  readonly #running = new Set<RunningBatch>()
  readonly #retries = new PrebuildRetries((image) => this.add([image]))
  #isStopped = false

  constructor(options: PrebuildQueueOptions) {
    this.#options = options
  }

  /** Returns the number of waiting images of tags or of branches. */
  waitingFor(kind: 'tag' | 'branch'): number {
    const images = [...this.#waiting.values()]
    return images.filter((image) => isForTag(image) === (kind === 'tag')).length
  }

  /** Returns the state of an image; undefined if it neither waits nor is built. */
  stateOf(imageKey: string): 'queued' | 'building' | undefined {
    if (this.#running.values().some(({ imageKeys }) => imageKeys.has(imageKey))) return 'building'
    return this.#waiting.has(imageKey) ? 'queued' : undefined
  }

  /**
   * Adds images at the end of the queue. An image that waits already keeps its place, and one that is being
   * built is not added.
   */
  add(images: readonly Prebuild[]): void {
    for (const image of images) {
      const waiting = this.#waiting.get(image.imageKey)
      // A tag that leads to the commit of a branch makes the image urgent.
      const isUrgent = waiting !== undefined && isForTag(image) && !isForTag(waiting)
      const isNew = waiting === undefined && !this.#isBuilding(image)
      if (isNew || isUrgent) this.#waiting.set(image.imageKey, image)
    }
    this.#startBatches()
  }

  /**
   * Removes waiting images that are not wanted, and cancels each batch that has no wanted image. A pull of one
   * of these images starts a build of its own.
   */
  drop(isWanted: (image: Prebuild) => boolean): void {
    for (const [key, image] of this.#waiting) if (!isWanted(image)) this.#waiting.delete(key)
    for (const { images, abort } of this.#running) if (!images.some(isWanted)) abort.abort(unwanted)
    this.#retries.drop(isWanted)
  }

  /**
   * Removes a waiting image that a pull builds. If that build fails for a cause that does not stop prebuilds,
   * such as the shorter time limit of a pull, the image is added again.
   */
  take(imageKey: string, build: Promise<unknown>): void {
    const image = this.#waiting.get(imageKey)
    if (image === undefined) return
    this.#waiting.delete(imageKey)
    build.catch((error: unknown) => {
      this.#noteFailureOfPull(image, error)
      if (this.#isBroken(image)) this.#retries.addBroken(image)
      else this.add([image])
    })
  }

  /** Adds all images that failed, whatever the cause and however old their ref. */
  retry(): void {
    this.add(this.#retries.takeAll())
  }

  /** Starts no further batch. */
  stop(): void {
    this.#isStopped = true
    this.#waiting.clear()
    this.#retries.stop()
  }

  #startBatches(): void {
    const { batches, concurrency } = this.#options
    while (!this.#isStopped && this.#running.size < concurrency) {
      const images = this.#nextBatch()
      if (images.length === 0) return
      const imageKeys = new Set(images.map(({ imageKey }) => imageKey))
      const running = { images, imageKeys, abort: new AbortController() }
      this.#running.add(running)
      const onEnd = (image: Prebuild, error?: unknown) => this.#end(running, image, error)
      batches.build({ images, signal: running.abort.signal, onEnd }).finally(() => {
        this.#running.delete(running)
        this.#startBatches()
      })
    }
  }

  /** Takes the next batch from the queue: that of the first image of a tag, or else of the first image. */
  #nextBatch(): Prebuild[] {
    const images = [...this.#waiting.values()]
    const first = images.find(isForTag) ?? images[0]
    if (first === undefined) return []
    const batch = images.filter(
      ({ name, revision }) =>
        revision.id === first.revision.id && name.platform.system === first.name.platform.system,
    )
    for (const { imageKey } of batch) this.#waiting.delete(imageKey)
    return batch
  }

  #end({ imageKeys, abort }: RunningBatch, image: Prebuild, error: unknown): void {
    const { log } = this.#options
    const { imageKey, name, revision } = image
    imageKeys.delete(imageKey)
    if (error === undefined) {
      this.#retries.forget(image)
      return
    }
    const fields = { image: name.text, revision: revision.id, failure: messageOf(error) }
    if (error === abort.signal.reason) {
      log.info(fields, 'prebuild cancelled')
      return
    }
    // The prebuild may have joined the build of a pull.
    this.#noteFailureOfPull(image, error)
    if (this.#isBroken(image)) {
      this.#retries.addBroken(image)
      log.warn(fields, 'image cannot be prebuilt')
    } else {
      log.warn({ ...fields, attempts: this.#retries.schedule(image) }, 'prebuild failed')
    }
  }

  #isBuilding({ imageKey }: Prebuild): boolean {
    return this.#running
      .values()
      .some(({ imageKeys, abort }) => imageKeys.has(imageKey) && !abort.signal.aborted)
  }

  /** Stops prebuilds of an image that a pull could not build. A time-out does not: a prebuild has more time. */
  #noteFailureOfPull({ imageKey }: Prebuild, error: unknown): void {
    const isTimeOut = error instanceof Failure && error.kind === 'build-timed-out'
    if (!isTimeOut) this.#options.failures.stopPrebuilds(imageKey, error)
  }

  /** Returns whether the image has a failure that stops prebuilds. */
  #isBroken({ imageKey }: Prebuild): boolean {
    return this.#options.failures.get(imageKey, 'prebuild') !== undefined
  }
}

/** Images of tags go first: a tag is a release. */
function isForTag({ revision }: Prebuild): boolean {
  return revision.ref !== undefined && isTagRef(revision.ref)
}
