/** Describes the layers of an image to the layer cache: key, size limit and description of each. */

import { type Closure, type Plan, type StorePath, storePathName } from '../closure/closure.ts'
import { layerKey, linkFarmKey, type Recipe } from '../image/keys.ts'
import type { LinkFarm } from '../image/link-farm.ts'
import { truncate } from '../text/truncate.ts'
import type { LayerRequest } from './layer-cache.ts'
import type { LayerPacker } from './ports.ts'

/** Most bytes of a layer with a link farm: enough for thousands of links. */
const mostLinkFarmBytes = 8 * 1024 * 1024

/** Most characters of a description. `docker history` shows it to people; no program reads it. */
const longestDescription = 200

export function storePathRequests(
  plan: Plan,
  closure: Closure,
  recipe: Recipe,
  packer: LayerPacker,
): LayerRequest[] {
  const sizes = new Map(closure.map(({ path, narSize }) => [path, narSize]))
  return plan.map((paths) => ({
    key: layerKey(paths, recipe),
    size: mostTarBytes(paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0)),
    description: shortened(namesOf(paths)),
    pack: () => packer.packStorePaths(paths),
  }))
}

export function linkFarmRequest(
  linkFarm: LinkFarm,
  recipe: Recipe,
  packer: LayerPacker,
): LayerRequest {
  const paths = linkFarm.packages.map(({ storePath }) => storePath)
  return {
    key: linkFarmKey(linkFarm, recipe),
    size: mostLinkFarmBytes,
    description: shortened(`links to ${namesOf(paths)}`),
    pack: () => packer.packLinkFarm(linkFarm),
  }
}

/** Returns most bytes of a tar with the files of a NAR. A tar has larger headers and more padding for each file. */
function mostTarBytes(narSize: number): number {
  return Math.ceil(narSize * 1.25) + 1024 * 1024
}

function namesOf(paths: readonly StorePath[]): string {
  return paths.map(storePathName).join(', ')
}

function shortened(text: string): string {
  return truncate(text, longestDescription)
}
