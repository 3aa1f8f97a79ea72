/** Many images that one Nix process realises: each is told as soon as its own outputs are valid. */
import type { BuilderLimit } from '../../build/ports.ts'
import type { StorePath } from '../../closure/closure.ts'
import type { EvaluatedPackage } from '../../closure/package.ts'
import { buildFailure, type ReadNix } from './build-failure.ts'
import { BuildLog } from './build-log.ts'

interface Pending extends PromiseWithResolvers<void> {
  readonly packages: readonly EvaluatedPackage[]
}

export class BatchCompletion {
  /** In the order of the images. */
  readonly outcomes: Promise<void>[]
  readonly #read: ReadNix
  #pending: Pending[]
  #looking: Promise<void> | undefined
  #lookAgain = false
  /** Why the last look saw nothing. */
  #blind: unknown

  constructor(images: readonly (readonly EvaluatedPackage[])[], read: ReadNix) {
    this.#read = read
    this.#pending = images.map((packages) => ({ packages, ...Promise.withResolvers<void>() }))
    this.outcomes = this.#pending.map(({ promise }) => promise)
    this.look()
  }

  /** Looks for images that are complete; however often it is called, one look runs at a time. */
  look(): void {
    this.#lookAgain = true
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      if (this.#lookAgain) this.look()
    })
  }

  /** Nix has ended: what is not complete now never will be. */
  async end(log: BuildLog | undefined, limit: BuilderLimit): Promise<void> {
    this.look()
    while (this.#looking !== undefined) await this.#looking
    if (this.#blind !== undefined) return this.fail(this.#blind)
    for (const { packages, reject } of this.#pending.splice(0)) {
      const failed = log ?? new BuildLog()
      buildFailure(packages, failed, limit, this.#read).then(reject, reject)
    }
  }

  /** Nix could not be run. */
  fail(error: unknown): void {
    for (const { reject } of this.#pending.splice(0)) reject(error)
  }

  async #look(): Promise<void> {
    while (this.#lookAgain && this.#pending.length > 0) {
      this.#lookAgain = false
      const paths = new Set(this.#pending.flatMap(({ packages }) => packages.map(pathOf)))
      const check = ['--check-validity', '--print-invalid', ...paths]
      // Only an exact answer is of use: a path that exists may still be under way.
      const invalid = await this.#read('nix-store', check).then(
        (text) => {
          this.#blind = undefined
          return new Set(text.split('\n'))
        },
        (error: unknown) => {
          this.#blind = error
          return paths
        },
      )
      const isComplete = ({ packages }: Pending) =>
        !packages.some((one) => invalid.has(pathOf(one)))
      for (const { resolve } of this.#pending.filter(isComplete)) resolve()
      this.#pending = this.#pending.filter((image) => !isComplete(image))
    }
    this.#lookAgain = false
  }
}

function pathOf({ storePath }: EvaluatedPackage): StorePath {
  return storePath
}
