/** Keys of records. Each is a hash over everything that determines the result, and nothing else. */

import { createHash } from 'node:crypto'
import type { StorePath } from '../closure/closure.ts'
import type { ImageName } from './image-name.ts'
import type { LinkFarm } from './link-farm.ts'

export type Compression = 'gzip' | 'zstd' | 'none'

/** Settings that change the bytes of an image but not its content. */
export interface Recipe {
  readonly compression: Compression
  /** Most layers in an image. */
  readonly layerBudget: number
}

/**
 * Version of the code that writes layers, link farms, configs and manifests. Raise it with every change of
 * their bytes, so that records of older code are not used for new images. A change of the compressor does
 * not count: the compressed digest of a layer is recorded once and kept.
 */
export const packingVersion = 1

/** Returns the key of an image record. It covers the packages of the name, not the spelling. */
export function imageKey(
  revision: { readonly id: string },
  name: ImageName,
  recipe: Recipe,
): string {
  const { packages, platform, hasShell } = name
  // `shell` also sets the command, so an image that lists the packages of `shell` by name is a different image.
  return hash(['image', revision.id, packages, platform.system, hasShell, recipeText(recipe)])
}

/** Returns the key of a closure's plan. */
export function planKey(paths: readonly StorePath[], recipe: Recipe): string {
  return hash(['plan', [...paths].sort(), recipeText(recipe)])
}

/** Returns the key of a layer of store paths. The layer budget has no effect on the bytes of a layer. */
export function layerKey(paths: readonly StorePath[], recipe: Recipe): string {
  return hash(['layer', [...paths].sort(), packingVersion, recipe.compression])
}

/** Returns the key of a link farm's layer. */
export function linkFarmKey(linkFarm: LinkFarm, recipe: Recipe): string {
  const packages = linkFarm.packages.map(({ name, storePath, priority, isRequested }) => [
    storePath,
    priority,
    isRequested,
    name,
  ])
  // `forest` is an older word for link farm. Another word here would change every key.
  return hash(['forest', packages, linkFarm.env ?? null, packingVersion, recipe.compression])
}

function recipeText({ compression, layerBudget }: Recipe): string {
  return `${packingVersion} ${compression} ${layerBudget}`
}

function hash(inputs: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex')
}
