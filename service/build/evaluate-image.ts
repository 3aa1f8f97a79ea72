/** Finds the packages of an image in the package set. */

import { LRUCache } from 'lru-cache'
import type { EvaluatedPackage, PackageOutcome } from '../closure/package.ts'
import { Failure } from '../image/errors.ts'
import { addedPackages, type ImageName } from '../image/image-name.ts'
import type { Revision } from '../source/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { evaluationFailure, type FailedOutcome } from './evaluation-failure.ts'
import type { Evaluator, ImageEvaluation } from './ports.ts'
import type { SourceTrees } from './source-trees.ts'

export interface EvaluateImageOptions {
  readonly sourceTrees: SourceTrees
  readonly evaluator: Evaluator
  readonly log: Log
}

export class EvaluateImage implements ImageEvaluation {
  readonly #options: EvaluateImageOptions
  /** Warnings that were logged. A live folder is evaluated at each pull, and would repeat them. */
  readonly #logged = new LRUCache<string, true>({ max: 10_000 })

  constructor(options: EvaluateImageOptions) {
    this.#options = options
  }

  async packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]> {
    const [packages] = await this.batch([name], revision)
    if (packages === undefined || packages instanceof Failure) throw packages
    return packages
  }

  async batch(
    names: readonly ImageName[],
    revision: Revision,
  ): Promise<(EvaluatedPackage[] | Failure)[]> {
    const { sourceTrees, evaluator } = this.#options
    const packages = [...new Set([...names.flatMap((name) => name.packages), ...addedPackages])]
    const outcomes = await evaluator.evaluate({
      folder: await sourceTrees.folderOf(revision),
      system: names[0]?.platform.system ?? '',
      packages,
    })
    const byName = new Map(packages.map((one, index) => [one, outcomes[index] as PackageOutcome]))
    return names.map((name) => this.#packagesOf(name, byName))
  }

  #packagesOf(
    name: ImageName,
    byName: ReadonlyMap<string, PackageOutcome>,
  ): EvaluatedPackage[] | Failure {
    const added = addedPackages.filter((one) => !name.packages.includes(one))
    const outcomes = [
      ...outcomesOf(name.packages, byName),
      ...outcomesOf(added, byName).filter((outcome) => this.#isUsable(outcome)),
    ]
    const failed = outcomes.filter((outcome): outcome is FailedOutcome => !isFound(outcome))
    if (failed.length > 0) return evaluationFailure(failed)
    const packages = outcomes.filter(isFound).map((outcome) => outcome.package)
    this.#warnAboutSystems(name, packages)
    return packages
  }

  /** Returns false for an added package that is missing or broken: the image is built without it. */
  #isUsable(outcome: PackageOutcome): boolean {
    // A package whose evaluation timed out may be fine. Without it, the image would be incomplete.
    if (isFound(outcome) || outcome.status === 'timed-out') return true
    if (outcome.status !== 'missing') {
      this.#warnOnce({ outcome }, 'added package left out of images: it cannot be evaluated')
    }
    return false
  }

  /**
   * Warns about packages that are built on another system than that of the image. This is right for packages
   * of data, and wrong for programs. Only the author of a package knows what it contains.
   */
  #warnAboutSystems(name: ImageName, packages: readonly EvaluatedPackage[]): void {
    const { system } = name.platform
    const others = packages.filter((found) => found.system !== system).map((found) => found.name)
    if (others.length === 0) return
    const fields = { image: name.text, system, packages: others }
    this.#warnOnce(fields, 'packages are built on another system than that of the image')
  }

  #warnOnce(fields: object, message: string): void {
    const warning = JSON.stringify([message, fields])
    if (this.#logged.has(warning)) return
    this.#logged.set(warning, true)
    this.#options.log.warn(fields, message)
  }
}

function isFound(outcome: PackageOutcome): outcome is Extract<PackageOutcome, { status: 'found' }> {
  return outcome.status === 'found'
}

function outcomesOf(
  packages: readonly string[],
  byName: ReadonlyMap<string, PackageOutcome>,
): PackageOutcome[] {
  return packages.map((one) => byName.get(one)).filter((outcome) => outcome !== undefined)
}
