/** Reports each image of a batch as soon as it is complete, while one Nix process realises all of them. */
import type { BuilderLimit } from '../../build/ports.ts'
import type { EvaluatedPackage } from '../../closure/package.ts'
import { buildFailure } from './build-failure.ts'
import type { BuildLog } from './build-log.ts'
import type { RunNix } from './run-nix.ts'

interface IncompleteImage extends PromiseWithResolvers<void> {
  readonly packages: readonly EvaluatedPackage[]
}

export class BatchCompletion {
  /** One promise for each image, in their order. It resolves as soon as all outputs of the image are valid. */
  readonly outcomes: Promise<void>[]
  readonly #runNix: RunNix
  #incomplete: IncompleteImage[]
  #checking: Promise<void> | undefined
  #checkAgain = false
  /** Error of the last check, if it failed. */
  #checkError: unknown

  constructor(images: readonly (readonly EvaluatedPackage[])[], runNix: RunNix) {
    this.#runNix = runNix
    this.#incomplete = images.map((packages) => ({ packages, ...Promise.withResolvers<void>() }))
    this.outcomes = this.#incomplete.map(({ promise }) => promise)
    this.check()
  }

  /** Resolves the complete images. One check runs at a time, and calls during a check share the next one. */
  check(): void {
    this.#checkAgain = true
    this.#checking ??= this.#checkUntilCurrent().finally(() => {
      this.#checking = undefined
      if (this.#checkAgain) this.check()
    })
  }

  /**
   * Ends the batch after Nix has ended: rejects the images that are still incomplete.
   * @param log of the builders, if Nix failed
   */
  async end(log: BuildLog, limit: BuilderLimit): Promise<void> {
    this.check()
    while (this.#checking !== undefined) await this.#checking
    if (this.#checkError !== undefined) return this.fail(this.#checkError)
    for (const { packages, reject } of this.#incomplete.splice(0)) {
      buildFailure(packages, log, limit, this.#runNix).then(reject, reject)
    }
  }

  /** Rejects the images that are incomplete: Nix could not be run, or was stopped. */
  fail(error: unknown): void {
    for (const { reject } of this.#incomplete.splice(0)) reject(error)
  }

  async #checkUntilCurrent(): Promise<void> {
    while (this.#checkAgain && this.#incomplete.length > 0) {
      this.#checkAgain = false
      try {
        await this.#checkValidity()
        this.#checkError = undefined
      } catch (error) {
        this.#checkError = error
      }
    }
    this.#checkAgain = false
  }

  /** Asks Nix which outputs are not valid: a path that exists may belong to a builder that still runs. */
  async #checkValidity(): Promise<void> {
    const paths = new Set(
      this.#incomplete.flatMap(({ packages }) => packages.map(({ storePath }) => storePath)),
    )
    const flags = ['--check-validity', '--print-invalid']
    const invalid = new Set((await this.#runNix('nix-store', [...flags, ...paths])).split('\n'))
    const isComplete = ({ packages }: IncompleteImage) =>
      !packages.some(({ storePath }) => invalid.has(storePath))
    for (const { resolve } of this.#incomplete.filter(isComplete)) resolve()
    this.#incomplete = this.#incomplete.filter((image) => !isComplete(image))
  }
}
