/** What is known of the images that are served, as it is stored. */
import { createHash } from 'node:crypto'
import type { StorePath } from '../closure/closure.ts'
import { identityOf, withoutNumber } from './path-identity.ts'

/** JSON. Store paths and layers are written once each, and elsewhere named by their place in the list. */
export interface KnowledgeDocument {
  readonly paths: readonly StorePath[]
  /** The paths of every layer of a plan. */
  readonly layers: readonly (readonly number[])[]
  /** Those learned last go first. */
  readonly images: readonly KnownImage[]
  readonly history: History
}

export interface KnownImage {
  readonly name: string
  /** Paths that no other of the image refers to: what was asked for. */
  readonly tops: readonly number[]
  /** The layers of its latest plans, the latest first. */
  readonly plans: readonly (readonly number[])[]
  /** The paths of the image, if its latest plan is not of these. */
  readonly unplanned?: readonly number[]
}

/** By identity: in how many releases a path was looked at, and in how many it had changed by itself. */
export type History = readonly (readonly [identity: string, releases: number, changes: number])[]

/** The numbers of an image's paths. */
export function pathsOf(document: KnowledgeDocument, { unplanned, plans }: KnownImage): number[] {
  if (unplanned) return [...unplanned]
  return (plans[0] ?? []).flatMap((layer) => document.layers[layer] ?? [])
}

/** Without the paths, layers and history that belong to no image any more. */
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

/** A hash of everything in it. */
export function versionOf({ paths, layers, images, history }: KnowledgeDocument): string {
  // Not of the objects themselves: the order of their fields is nobody's business.
  const known = images.map(({ name, tops, plans, unplanned }) => [name, tops, plans, unplanned])
  return createHash('sha256')
    .update(JSON.stringify([paths, layers, known, history]))
    .digest('hex')
}

/** Numbers from 0 on for those that are kept, in the order that they had. */
function renumber(count: number, visit: (keep: (number: number) => void) => void) {
  const isKept = new Uint8Array(count)
  visit((number) => {
    isKept[number] = 1
  })
  const old: number[] = []
  const next = new Uint32Array(count)
  for (let number = 0; number < count; number++) {
    if (isKept[number] === 0) continue
    next[number] = old.length
    old.push(number)
  }
  const renumbered = (numbers: readonly number[]) => numbers.map((number) => next[number] as number)
  return { old, renumbered }
}
