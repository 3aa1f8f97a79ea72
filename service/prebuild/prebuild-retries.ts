/** Prebuilds that failed, and when they are tried again. */
import type { Prebuild } from './desired-images.ts'

/** Milliseconds before each retry. */
const retryDelays = [5000, 20_000, 60_000]
/** Delay before the retry schedule starts over, in milliseconds: an outage may last longer than the schedule. */
const startOverDelay = 600_000

export class PrebuildRetries {
  readonly #onDue: (image: Prebuild) => void
  /** Failed attempts since the retry schedule started, by image key. */
  readonly #attempts = new Map<string, number>()
  /** Images that a timer tries again, by image key. */
  readonly #scheduled = new Map<string, { image: Prebuild; timer: NodeJS.Timeout }>()
  /** Images that do not build, by image key. Only `takeAll` tries them again. */
  readonly #broken = new Map<string, Prebuild>()
  #isStopped = false

  /** @param onDue called with an image when it has to be tried again */
  constructor(onDue: (image: Prebuild) => void) {
    this.#onDue = onDue
  }

  /** Schedules a retry after a failure that may pass. @returns the failed attempts so far */
  schedule(image: Prebuild): number {
    const { imageKey } = image
    const attempts = (this.#attempts.get(imageKey) ?? 0) + 1
    const delay = retryDelays[attempts - 1]
    if (delay === undefined) this.#attempts.delete(imageKey)
    else this.#attempts.set(imageKey, attempts)
    if (this.#isStopped) return attempts
    clearTimeout(this.#scheduled.get(imageKey)?.timer)
    const timer = setTimeout(() => {
      this.#scheduled.delete(imageKey)
      this.#onDue(image)
    }, delay ?? startOverDelay).unref()
    this.#scheduled.set(imageKey, { image, timer })
    return attempts
  }

  /** Keeps an image that does not build until `takeAll`. */
  addBroken(image: Prebuild): void {
    this.#broken.set(image.imageKey, image)
  }

  /** Removes an image that has been built or is no longer wanted. */
  forget({ imageKey }: Prebuild): void {
    clearTimeout(this.#scheduled.get(imageKey)?.timer)
    this.#scheduled.delete(imageKey)
    this.#attempts.delete(imageKey)
    this.#broken.delete(imageKey)
  }

  /** Removes all images and returns them, the broken ones first. */
  takeAll(): Prebuild[] {
    const scheduled = [...this.#scheduled.values()].map(({ image }) => image)
    const all = [...this.#broken.values(), ...scheduled]
    for (const image of all) this.forget(image)
    return all
  }

  /** Removes the images that are not wanted. */
  drop(isWanted: (image: Prebuild) => boolean): void {
    for (const { image } of this.#scheduled.values()) if (!isWanted(image)) this.forget(image)
    for (const image of this.#broken.values()) if (!isWanted(image)) this.forget(image)
  }

  /** Stops all timers and starts no more. */
  stop(): void {
    this.#isStopped = true
    for (const { timer } of this.#scheduled.values()) clearTimeout(timer)
  }
}
