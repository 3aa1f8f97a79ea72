/** Prebuilds that failed, until they are tried again. */
import type { Prebuild } from './prebuild.ts'

/** Milliseconds. */
export const defaultRetryDelays = [5000, 20_000, 60_000]
/** Milliseconds after which what failed as often as that is begun with anew: an outage ends some day. */
const startOver = 600_000

export class PrebuildRetries {
  readonly #delays: readonly number[]
  readonly #again: (image: Prebuild) => void
  /** Attempts that failed for a cause that may pass, by image key. */
  readonly #attempts = new Map<string, number>()
  /** What is tried again by itself, by image key. */
  readonly #later = new Map<string, { image: Prebuild; timer: NodeJS.Timeout }>()
  /** What does not build, by image key: only somebody else knows when it might. */
  readonly #broken = new Map<string, Prebuild>()
  #stopped = false

  /** @param again called when an image's time has come */
  constructor(delays: readonly number[], again: (image: Prebuild) => void) {
    this.#delays = delays
    this.#again = again
  }

  /** It failed for a cause that may pass. @returns how often by now */
  later(image: Prebuild): number {
    const { imageKey } = image
    const attempts = (this.#attempts.get(imageKey) ?? 0) + 1
    const delay = this.#delays[attempts - 1]
    if (delay === undefined) this.#attempts.delete(imageKey)
    else this.#attempts.set(imageKey, attempts)
    if (this.#stopped) return attempts
    clearTimeout(this.#later.get(imageKey)?.timer)
    const timer = setTimeout(() => {
      this.#later.delete(imageKey)
      this.#again(image)
    }, delay ?? startOver).unref()
    this.#later.set(imageKey, { image, timer })
    return attempts
  }

  /** It failed for a cause that stays. */
  broken(image: Prebuild): void {
    this.#broken.set(image.imageKey, image)
  }

  /** It has been built, or is not wanted any more. */
  forget({ imageKey }: Prebuild): void {
    clearTimeout(this.#later.get(imageKey)?.timer)
    this.#later.delete(imageKey)
    this.#attempts.delete(imageKey)
    this.#broken.delete(imageKey)
  }

  /** All that failed, which is then forgotten. */
  takeAll(): Prebuild[] {
    const later = [...this.#later.values()].map(({ image }) => image)
    const all = [...this.#broken.values(), ...later]
    for (const image of all) this.forget(image)
    return all
  }

  /** Forgets what is not wanted any more. */
  drop(isWanted: (image: Prebuild) => boolean): void {
    for (const { image } of this.#later.values()) if (!isWanted(image)) this.forget(image)
    for (const image of this.#broken.values()) if (!isWanted(image)) this.forget(image)
  }

  /** Nothing is tried again by itself any more. */
  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#later.values()) clearTimeout(timer)
  }
}
