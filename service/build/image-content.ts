/** Decides what an image contains besides its store paths: its container config and its link farm. */

import { type Closure, type StorePath, storePathName } from '../closure/closure.ts'
import type { EvaluatedPackage } from '../closure/package.ts'
import { containerConfig } from '../image/container-config.ts'
import type { ImageName } from '../image/image-name.ts'
import type { LinkFarm } from '../image/link-farm.ts'
import type { ContainerConfig } from '../image/manifest.ts'
import { compareCodeUnits } from '../text/order.ts'

/**
 * Returns the container config of the image.
 * @throws Failure evaluation-failed, if a package has an invalid `imageConfig`
 */
export function containerConfigOf(
  name: ImageName,
  packages: readonly EvaluatedPackage[],
): ContainerConfig {
  const requested = packages.filter((found) => isRequested(found, name))
  const hasCertificates = packages.some((found) => found.name === 'cacert')
  return containerConfig(name, requested, hasCertificates)
}

/** Returns the link farm. Its packages are sorted, so that its bytes do not depend on the order in the name. */
export function linkFarmOf(
  name: ImageName,
  packages: readonly EvaluatedPackage[],
  closure: Closure,
): LinkFarm {
  const env = coreutilsOf(packages, closure)
  return {
    packages: packages
      .map((found) => ({
        name: found.name,
        storePath: found.storePath,
        priority: found.priority,
        isRequested: isRequested(found, name),
      }))
      .sort((a, b) => compareCodeUnits(a.storePath, b.storePath)),
    ...(env === undefined ? {} : { env }),
  }
}

function isRequested(found: EvaluatedPackage, name: ImageName): boolean {
  return name.packages.includes(found.name)
}

/** Returns the store path of coreutils: if possible, a package of the image, or else a path of its closure. */
function coreutilsOf(
  packages: readonly EvaluatedPackage[],
  closure: Closure,
): StorePath | undefined {
  const paths = [...packages.map(({ storePath }) => storePath), ...closure.map(({ path }) => path)]
  return paths.find((path) => /^coreutils(-full)?(-[\d.]+)?$/.test(storePathName(path)))
}
