/** Finds the packages of an image in the package set. */
import { addedPackages, type ImageName } from '../domain/image-name.ts'
import type { EvaluatedPackage } from '../domain/package.ts'
import type { Evaluator } from '../domain/ports.ts'
import type { Revision } from '../domain/source.ts'
import { foundPackages } from './found-packages.ts'
import type { PackageSets } from './package-sets.ts'

export class EvaluateImage {
  readonly #packageSets: PackageSets
  readonly #evaluator: Evaluator

  constructor(packageSets: PackageSets, evaluator: Evaluator) {
    this.#packageSets = packageSets
    this.#evaluator = evaluator
  }

  /**
   * The packages that were asked for, and of the added ones those that the set has.
   * @throws Failure manifest-unknown, evaluation-failed, unavailable
   */
  async packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]> {
    const added = addedPackages.filter((extra) => !name.packages.includes(extra))
    const outcomes = await this.#evaluator.evaluate({
      folder: await this.#packageSets.folder(revision),
      system: name.platform.system,
      packages: [...name.packages, ...added],
    })
    const isAdded = (index: number) => index >= name.packages.length
    return foundPackages(
      outcomes.filter((outcome, index) => !(outcome.status === 'missing' && isAdded(index))),
    )
  }
}
