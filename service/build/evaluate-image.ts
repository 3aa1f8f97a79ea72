/** Finds the packages of an image in the package set. */

import { LRUCache } from 'lru-cache'
import type { EvaluatedPackage, PackageOutcome } from '../closure/package.ts'
import { Failure } from '../image/errors.ts'
import { addedPackages, type ImageName } from '../image/image-name.ts'
import type { Revision } from '../source/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { foundPackages } from './found-packages.ts'
import type { PackageSets } from './package-sets.ts'
import type { Evaluator } from './ports.ts'

export interface EvaluateImageOptions {
  readonly packageSets: PackageSets
  readonly evaluator: Evaluator
  readonly log: Log
}

export class EvaluateImage {
  readonly #options: EvaluateImageOptions
  /** Warnings that were given: a folder is evaluated at each pull, and once is enough. */
  readonly #warned = new LRUCache<string, true>({ max: 10_000 })

  constructor(options: EvaluateImageOptions) {
    this.#options = options
  }

  /**
   * The packages that were asked for, and of the added ones those that the set has.
   * @throws Failure manifest-unknown, evaluation-failed, unavailable
   */
  async packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]> {
    const [packages] = await this.batch([name], revision)
    if (packages === undefined || packages instanceof Failure) throw packages
    return packages
  }

  /**
   * The same for many images of one platform, in one evaluation: what of one image cannot be evaluated
   * is that image's failure alone.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  async batch(
    names: readonly ImageName[],
    revision: Revision,
  ): Promise<(EvaluatedPackage[] | Failure)[]> {
    const { packageSets, evaluator } = this.#options
    const wanted = [...new Set([...names.flatMap(({ packages }) => packages), ...addedPackages])]
    const outcomes = await evaluator.evaluate({
      folder: await packageSets.folder(revision),
      system: names[0]?.platform.system ?? '',
      packages: wanted,
    })
    const found = new Map(wanted.map((one, index) => [one, outcomes[index] as PackageOutcome]))
    return names.map((name) => this.#packagesOf(name, found))
  }

  #packagesOf(
    name: ImageName,
    found: ReadonlyMap<string, PackageOutcome>,
  ): EvaluatedPackage[] | Failure {
    const added = addedPackages.filter((extra) => !name.packages.includes(extra))
    const outcomesOf = (packages: readonly string[]) =>
      packages.map((one) => found.get(one)).filter((outcome) => outcome !== undefined)
    try {
      const packages = foundPackages([
        ...outcomesOf(name.packages),
        ...outcomesOf(added).filter((outcome) => this.#isThere(outcome)),
      ])
      this.#warnOfForeign(name, packages)
      return packages
    } catch (error) {
      if (error instanceof Failure) return error
      throw error
    }
  }

  /** Nobody asked for an added package: a set that has a broken one is a set without it. */
  #isThere(outcome: PackageOutcome): boolean {
    if (outcome.status === 'found' || outcome.status === 'timed-out') return true
    if (outcome.status !== 'missing') {
      this.#warnOnce({ outcome }, 'images go without a package that is usually added')
    }
    return false
  }

  /** Data is the same for all platforms, programs are not; only their author can tell which it is. */
  #warnOfForeign(name: ImageName, packages: readonly EvaluatedPackage[]): void {
    const { system } = name.platform
    const foreign = packages.filter((found) => found.system !== system).map((found) => found.name)
    if (foreign.length === 0) return
    const fields = { image: name.text, system, packages: foreign }
    this.#warnOnce(fields, 'packages are built on another system than the image is for')
  }

  #warnOnce(fields: object, message: string): void {
    const warning = JSON.stringify([message, fields])
    if (this.#warned.has(warning)) return
    this.#warned.set(warning, true)
    this.#options.log.warn(fields, message)
  }
}
