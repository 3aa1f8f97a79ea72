/** Finds the packages of an image in the package set. */
import { addedPackages, type ImageName } from '../domain/image-name.ts'
import type { EvaluatedPackage, PackageOutcome } from '../domain/package.ts'
import type { Evaluator, Log } from '../domain/ports.ts'
import type { Revision } from '../domain/source.ts'
import { foundPackages } from './found-packages.ts'
import type { PackageSets } from './package-sets.ts'

export interface EvaluateImageOptions {
  readonly packageSets: PackageSets
  readonly evaluator: Evaluator
  readonly log: Log
}

export class EvaluateImage {
  readonly #options: EvaluateImageOptions

  constructor(options: EvaluateImageOptions) {
    this.#options = options
  }

  /**
   * The packages that were asked for, and of the added ones those that the set has.
   * @throws Failure manifest-unknown, evaluation-failed, unavailable
   */
  async packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]> {
    const { packageSets, evaluator } = this.#options
    const added = addedPackages.filter((extra) => !name.packages.includes(extra))
    const outcomes = await evaluator.evaluate({
      folder: await packageSets.folder(revision),
      system: name.platform.system,
      packages: [...name.packages, ...added],
    })
    const asked = outcomes.slice(0, name.packages.length)
    const there = outcomes.slice(name.packages.length).filter((outcome) => this.#isThere(outcome))
    const packages = foundPackages([...asked, ...there])
    this.#warnOfForeign(name, packages)
    return packages
  }

  /** Nobody asked for an added package: a set that has a broken one is a set without it. */
  #isThere(outcome: PackageOutcome): boolean {
    if (outcome.status === 'found' || outcome.status === 'timed-out') return true
    if (outcome.status !== 'missing') {
      this.#options.log.warn({ outcome }, 'images go without a package that is usually added')
    }
    return false
  }

  /** Data is the same for all platforms, programs are not; only their author can tell which it is. */
  #warnOfForeign(name: ImageName, packages: readonly EvaluatedPackage[]): void {
    const { system } = name.platform
    const foreign = packages.filter((found) => found.system !== system).map((found) => found.name)
    if (foreign.length === 0) return
    const fields = { image: name.text, system, packages: foreign }
    this.#options.log.warn(fields, 'packages are built on another system than the image is for')
  }
}
