/**
 * What the registry knows beyond one closure when it cuts that into layers: which images it serves, what is
 * in them, how they were cut, and what changed from release to release.
 *
 * A value that never changes: learning makes another one, with another version. So a plan can be worked out
 * again from a closure and the version that its record names, and an image that is added cuts no other anew.
 */
import { createHash } from 'node:crypto'
import { type Closure, type StorePath, storePathName } from './closure.ts'
import { Fleet } from './fleet.ts'
import type { Plan } from './layers.ts'
import { identitiesOf } from './path-identity.ts'

/** An image as it is now. */
export interface ServedImage {
  /** The same for the same image in every release: packages and platform, without tag. */
  readonly name: string
  readonly closure: Closure
  /** Absent if the closure is known before it is planned. */
  readonly plan?: Plan
}

/** Knowledge as it is stored: JSON. Store paths, layers and plans are named by their place in a list. */
export interface KnowledgeDocument {
  readonly paths: readonly StorePath[]
  /** Paths of each layer that was cut. */
  readonly layers: readonly (readonly number[])[]
  /** Most recently learned first. */
  readonly images: readonly KnownImage[]
  /** By identity: in how many releases it was looked at, and in how many of them it had changed by itself. */
  readonly history: readonly (readonly [identity: string, releases: number, changes: number])[]
}

export interface KnownImage {
  readonly name: string
  /** Paths that no other of the image refers to: what was asked for. */
  readonly tops: readonly number[]
  /** Layers of each plan, most recent first. */
  readonly plans: readonly (readonly number[])[]
  /** Paths of the image, if the first plan is not of these. */
  readonly unplanned?: readonly number[]
}

/** Most images that are remembered; those go that were not learned for the longest time. */
const mostImages = 1000

/** A registry serves several tags and branches of an image in turn: each finds its own last cut. */
const plansPerImage = 3

/** What changed long ago says little: from here on, the counts are halved. */
const longHistory = 32

export class LayerKnowledge {
  /** Of a new registry. */
  static readonly none = new LayerKnowledge({ paths: [], layers: [], images: [], history: [] })

  readonly document: KnowledgeDocument
  #version: string | undefined
  #fleet: Fleet | undefined

  /** @param document as it was stored; it must be whole */
  constructor(document: KnowledgeDocument) {
    this.document = document
  }

  /** `none`, or a hash of what is known. */
  get version(): string {
    this.#version ??= this.isEmpty ? 'none' : hashOf(this.document)
    return this.#version
  }

  get isEmpty(): boolean {
    return this.document.images.length === 0
  }

  /** The same, arranged for the planner's questions. */
  get fleet(): Fleet {
    this.#fleet ??= new Fleet(this.document)
    return this.#fleet
  }

  /**
   * What is known after images were built. All images of a release are best learned at once, as one
   * release is what one call is taken for; their order has no effect, each name may occur once.
   */
  learn(images: readonly ServedImage[]): LayerKnowledge {
    if (images.length === 0) return this
    const remembered = decode(this.document)
    const known = new Map(remembered.map((image) => [image.name, image]))
    const learned = images
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((image) => remember(image, known.get(image.name)))
    const names = new Set(learned.map(({ name }) => name))
    const all = [...learned, ...remembered.filter(({ name }) => !names.has(name))]
    const kept = all.slice(0, mostImages)
    const history = prune(extend(this.document.history, images, known), kept)
    return new LayerKnowledge(encode(kept, history))
  }
}

type History = KnowledgeDocument['history']

/** A known image with store paths instead of numbers. */
interface Remembered {
  readonly name: string
  readonly tops: readonly StorePath[]
  readonly closure: readonly StorePath[]
  readonly plans: readonly Plan[]
}

function remember(
  { name, closure, plan }: ServedImage,
  before: Remembered | undefined,
): Remembered {
  const referred = new Set(
    closure.flatMap(({ path, references }) => references.filter((other) => other !== path)),
  )
  const paths = closure.map(({ path }) => path).sort()
  const plans = before?.plans ?? []
  return {
    name,
    tops: paths.filter((path) => !referred.has(path)),
    closure: paths,
    plans: plan
      ? [plan, ...plans.filter((other) => !isSame(other, plan))].slice(0, plansPerImage)
      : plans,
  }
}

function isSame(one: Plan, other: Plan): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/**
 * A path changed by itself if its name did, or if nothing that it refers to is new. An image whose closure
 * is what it was says nothing: it may have been learned twice.
 */
function extend(
  history: History,
  images: readonly ServedImage[],
  known: ReadonlyMap<string, Remembered>,
): History {
  const changed = new Map<string, boolean>()
  for (const { name, closure } of images) {
    const before = known.get(name)?.closure ?? []
    const oldPaths = new Set(before)
    if (closure.every(({ path }) => oldPaths.has(path))) continue
    const oldNames = new Set(before.map(storePathName))
    const oldIdentities = new Set(identitiesOf(before))
    const identities = identitiesOf(closure.map(({ path }) => path))
    for (const [place, { path, references }] of closure.entries()) {
      const identity = identities[place] as string
      if (!oldIdentities.has(identity)) continue
      const byItself =
        !oldPaths.has(path) &&
        (!oldNames.has(storePathName(path)) ||
          references.every((other) => other === path || oldPaths.has(other)))
      changed.set(identity, byItself || (changed.get(identity) ?? false))
    }
  }
  const counts = new Map(history.map(([identity, ...count]) => [identity, count]))
  for (const [identity, isChanged] of changed) {
    const [releases, changes] = counts.get(identity) ?? [0, 0]
    const share = releases + 1 > longHistory ? 0.5 : 1
    counts.set(identity, [
      Math.round((releases + 1) * share),
      Math.round((changes + (isChanged ? 1 : 0)) * share),
    ])
  }
  return [...counts].map(([identity, [releases, changes]]) => [identity, releases, changes])
}

/** Only of what is in an image, in a fixed order. */
function prune(history: History, images: readonly Remembered[]): History {
  const identities = new Set(images.flatMap(({ closure }) => identitiesOf(closure)))
  return history
    .filter(([identity]) => identities.has(identity))
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

function decode({ paths, layers, images }: KnowledgeDocument): Remembered[] {
  const pathsOf = (places: readonly number[]) => places.map((place) => paths[place] as StorePath)
  const cut = layers.map(pathsOf)
  return images.map(({ name, tops, plans, unplanned }) => {
    const decoded = plans.map((plan) => plan.map((layer) => cut[layer] as StorePath[]))
    const closure = unplanned ? pathsOf(unplanned) : (decoded[0] ?? []).flat().sort()
    return { name, tops: pathsOf(tops), closure, plans: decoded }
  })
}

function encode(images: readonly Remembered[], history: History): KnowledgeDocument {
  const paths = [
    ...new Set(images.flatMap(({ closure, plans }) => [...closure, ...plans.flat(2)])),
  ].sort()
  const places = new Map(paths.map((path, place) => [path, place]))
  const placesOf = (all: readonly StorePath[]) => all.map((path) => places.get(path) as number)
  const layers = new Map<string, { readonly paths: number[]; readonly place: number }>()
  const placeOf = (layer: readonly StorePath[]) => {
    const numbers = placesOf(layer)
    const key = numbers.join()
    const { place } = layers.get(key) ?? { place: layers.size }
    layers.set(key, { paths: numbers, place })
    return place
  }
  const known = images.map(({ name, tops, closure, plans }): KnownImage => {
    const planned = plans[0]?.flat().sort() ?? []
    const isPlanned = planned.length === closure.length && planned.join() === closure.join()
    return {
      name,
      tops: placesOf(tops),
      plans: plans.map((plan) => plan.map(placeOf)),
      ...(isPlanned ? {} : { unplanned: placesOf(closure) }),
    }
  })
  return { paths, layers: [...layers.values()].map((layer) => layer.paths), images: known, history }
}

function hashOf(document: KnowledgeDocument): string {
  const { paths, layers, images, history } = document
  const known = images.map(({ name, tops, plans, unplanned }) => [
    name,
    tops,
    plans,
    unplanned ?? null,
  ])
  return createHash('sha256')
    .update(JSON.stringify([paths, layers, known, history]))
    .digest('hex')
}
