/** The stored form of the planner's knowledge. */
import { createHash } from 'node:crypto'
import type { StorePath } from '../closure/closure.ts'
import { identityOf, withoutNumber } from './path-identity.ts'

/**
 * JSON document. Its field names are part of the stored format. Each store path and each layer is written once.
 * All other fields refer to them by their index in `paths` and `layers`.
 */
export interface KnowledgeDocument {
  readonly paths: readonly StorePath[]
  /** The paths of each layer. */
  readonly layers: readonly (readonly number[])[]
  /** The image that was learned last comes first. */
  readonly images: readonly KnownImage[]
  readonly history: History
}

export interface KnownImage {
  readonly name: string
  /** The paths that no other path of the image refers to: the requested packages. */
  readonly tops: readonly number[]
  /** The layers of the latest plans; the latest plan comes first. */
  readonly plans: readonly (readonly number[])[]
  /** The paths of the image, if they were learned without a plan. */
  readonly unplanned?: readonly number[]
}

/** For each path identity: the number of releases that had the path, and of those that changed the path itself. */
export type History = readonly (readonly [identity: string, releases: number, changes: number])[]

/** Returns the indices of an image's paths. */
export function pathsOf(document: KnowledgeDocument, { unplanned, plans }: KnownImage): number[] {
  if (unplanned) return [...unplanned]
  return (plans[0] ?? []).flatMap((layer) => document.layers[layer] ?? [])
}

/** Removes the paths, layers and history that no image uses. */
export function compact({ paths, layers, images, history }: KnowledgeDocument): KnowledgeDocument {
  const keptLayers = renumber(layers.length, (keep) => {
    for (const { plans } of images) for (const plan of plans) plan.forEach(keep)
  })
  const keptPaths = renumber(paths.length, (keep) => {
    for (const layer of keptLayers.old) layers[layer]?.forEach(keep)
    for (const { tops, unplanned } of images) [...tops, ...(unplanned ?? [])].forEach(keep)
  })
  const identities = new Set(keptPaths.old.map((path) => identityOf(paths[path] as StorePath)))
  return {
    paths: keptPaths.old.map((path) => paths[path] as StorePath),
    layers: keptLayers.old.map((layer) => keptPaths.renumbered(layers[layer] ?? [])),
    images: images.map(({ name, tops, plans, unplanned }) => ({
      name,
      tops: keptPaths.renumbered(tops),
      plans: plans.map(keptLayers.renumbered),
      ...(unplanned ? { unplanned: keptPaths.renumbered(unplanned) } : {}),
    })),
    history: history.filter(([identity]) => identities.has(withoutNumber(identity))),
  }
}

/** Returns a hash of the whole document. */
export function versionOf({ paths, layers, images, history }: KnowledgeDocument): string {
  // The fields are listed here, so that the order of an object's fields has no effect.
  const known = images.map(({ name, tops, plans, unplanned }) => [name, tops, plans, unplanned])
  return createHash('sha256')
    .update(JSON.stringify([paths, layers, known, history]))
    .digest('hex')
}

/** Numbers the kept ones of `count` indices from 0 on, in their old order. `visit` marks the kept indices. */
function renumber(count: number, visit: (keep: (index: number) => void) => void) {
  const isKept = new Uint8Array(count)
  visit((index) => {
    isKept[index] = 1
  })
  const old: number[] = []
  const next = new Uint32Array(count)
  for (let index = 0; index < count; index++) {
    if (isKept[index] === 0) continue
    next[index] = old.length
    old.push(index)
  }
  const renumbered = (indices: readonly number[]) => indices.map((index) => next[index] as number)
  return { old, renumbered }
}
