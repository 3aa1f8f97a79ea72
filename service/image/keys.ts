/** The keys under which work is remembered: hashes over exactly what determines its outcome. */

import { createHash } from 'node:crypto'
import type { StorePath } from '../closure/closure.ts'
import type { ImageName } from './image-name.ts'
import type { LinkFarm } from './link-farm.ts'

export type Compression = 'gzip' | 'zstd' | 'none'

/** What changes an image's bytes without its content changing. */
export interface Recipe {
  readonly compression: Compression
  /** Most layers in an image. */
  readonly layerBudget: number
}

/**
 * Version of the code that writes layers, forests, configs and manifests. Raise it with every change
 * of their bytes: records made by other code are then never taken for today's. How layers are compressed is no
 * such change: what each became is recorded once, and kept.
 */
export const packingVersion = 1

/** One per image that can be asked for. The name's spelling is not part of it, its packages are. */
export function imageKey(
  revision: { readonly id: string },
  name: ImageName,
  recipe: Recipe,
): string {
  const { packages, platform, shell } = name
  // `shell` sets the command, so `shell` and its four packages by name are different images.
  return hash(['image', revision.id, packages, platform.system, shell, recipeText(recipe)])
}

/** One per closure. */
export function planKey(paths: readonly StorePath[], recipe: Recipe): string {
  return hash(['plan', [...paths].sort(), recipeText(recipe)])
}

/** One per layer of store paths. The budget decides which layers there are, not what is in one. */
export function layerKey(paths: readonly StorePath[], recipe: Recipe): string {
  return hash(['layer', [...paths].sort(), packingVersion, recipe.compression])
}

/** One per link farm. */
export function linkFarmKey(linkFarm: LinkFarm, recipe: Recipe): string {
  const packages = linkFarm.packages.map(({ name, storePath, priority, requested }) => [
    storePath,
    priority,
    requested,
    name,
  ])
  return hash(['forest', packages, linkFarm.env ?? null, packingVersion, recipe.compression])
}

function recipeText({ compression, layerBudget }: Recipe): string {
  return `${packingVersion} ${compression} ${layerBudget}`
}

function hash(facts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
}
