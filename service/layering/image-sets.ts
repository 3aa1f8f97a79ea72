/** All images that the registry serves: what their store paths have in common, and how they were cut. */
import type { StorePath } from '../closure/closure.ts'
import { type KnowledgeDocument, pathsOf } from './knowledge-document.ts'
import { identitiesOf, identityOf } from './path-identity.ts'

/** What is known of a store path by what it is called. */
export interface Acquaintance {
  /** The same object for all paths that are in exactly the same images. */
  readonly company: Company
  /** Whether it was asked for by name in some image: nothing else there refers to it. */
  readonly isAsked: boolean
  /** In how many releases it was looked at. */
  readonly releases: number
  /** In how many of them it had changed by itself. */
  readonly changes: number
}

export interface Company {
  /** How many images have the paths. */
  readonly images: number
  /** Of each of these images how many paths it has. */
  readonly sizes: readonly number[]
}

export class Fleet {
  readonly isEmpty: boolean
  readonly #acquaintances: ReadonlyMap<string, Acquaintance>
  readonly #layers: readonly (readonly StorePath[])[]
  /** The layers of each plan of each image. */
  readonly #plans: readonly (readonly number[])[]
  /** The layers that a path is in. */
  readonly #layersOf = new Map<StorePath, number[]>()

  constructor(document: KnowledgeDocument) {
    const { paths, layers, images } = document
    this.isEmpty = images.length === 0
    this.#acquaintances = acquaintances(document)
    this.#layers = layers.map((layer) => layer.map((path) => paths[path] as StorePath))
    this.#plans = images.flatMap(({ plans }) => plans)
    for (const [layer, layerPaths] of this.#layers.entries()) {
      for (const path of layerPaths) append(this.#layersOf, path, layer)
    }
  }

  /** For each path of a closure what is known of it, if anything is. */
  acquaintances(paths: readonly StorePath[]): (Acquaintance | undefined)[] {
    if (this.isEmpty) return paths.map(() => undefined)
    return identitiesOf(paths).map((identity) => this.#acquaintances.get(identity))
  }

  /**
   * Layers that were cut before and of which a closure has every path, no path in two of them; a list for
   * each plan that they were found in, in its order. The plan of which the closure has most bytes
   * goes first: that of the same image in an earlier release, if there is one.
   * @param sizes bytes of every path of the closure
   */
  wholeLayers(sizes: ReadonlyMap<StorePath, number>): (readonly StorePath[])[][] {
    const bytes = this.#bytesOfWhole(sizes)
    const pathsOfLayer = (layer: number) => this.#layers[layer] ?? []
    const taken = new Set<StorePath>()
    const isFree = (layer: number) => pathsOfLayer(layer).every((path) => !taken.has(path))
    const found: (readonly StorePath[])[][] = []
    let plans = this.#plans.map((plan) => plan.filter((layer) => bytes.has(layer)))
    for (;;) {
      plans = plans.map((plan) => plan.filter(isFree)).filter((plan) => plan.length > 0)
      const best = largest(plans, (plan) => {
        return plan.reduce((sum, layer) => sum + (bytes.get(layer) ?? 0), 0)
      })
      if (best === undefined) return found
      found.push(best.map(pathsOfLayer))
      for (const path of best.flatMap(pathsOfLayer)) taken.add(path)
    }
  }

  #bytesOfWhole(sizes: ReadonlyMap<StorePath, number>): Map<number, number> {
    const counts = new Map<number, number>()
    for (const path of sizes.keys()) {
      for (const layer of this.#layersOf.get(path) ?? []) {
        counts.set(layer, (counts.get(layer) ?? 0) + 1)
      }
    }
    const bytes = new Map<number, number>()
    for (const [layer, count] of counts) {
      const paths = this.#layers[layer] ?? []
      if (count < paths.length) continue
      const size = paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0)
      bytes.set(layer, size)
    }
    return bytes
  }
}

function acquaintances(document: KnowledgeDocument): Map<string, Acquaintance> {
  const { paths, images, history } = document
  const unnumbered = paths.map(identityOf)
  const sizes: number[] = []
  const imagesOf = new Map<string, number[]>()
  const asked = new Set<string>()
  for (const [image, known] of images.entries()) {
    const numbers = pathsOf(document, known)
    const tops = new Set(known.tops)
    const identities = identitiesOf(
      numbers.map((path) => paths[path] as StorePath),
      numbers.map((path) => unnumbered[path] as string),
    )
    sizes.push(numbers.length)
    for (const [place, identity] of identities.entries()) {
      append(imagesOf, identity, image)
      if (tops.has(numbers[place] as number)) asked.add(identity)
    }
  }
  const companies = new Map<string, Company>()
  const counts = new Map(history.map(([identity, ...count]) => [identity, count]))
  const found = new Map<string, Acquaintance>()
  for (const [identity, having] of imagesOf) {
    const key = having.join()
    const company = companies.get(key) ?? {
      images: having.length,
      sizes: having.map((image) => sizes[image] as number),
    }
    companies.set(key, company)
    const [releases, changes] = counts.get(identity) ?? [0, 0]
    found.set(identity, { company, isAsked: asked.has(identity), releases, changes })
  }
  return found
}

function append<K>(lists: Map<K, number[]>, key: K, value: number): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

/** The first of those that weigh most. */
function largest<T>(values: readonly T[], weigh: (value: T) => number): T | undefined {
  let most = -Infinity
  let found: T | undefined
  for (const value of values) {
    const weight = weigh(value)
    if (weight <= most) continue
    most = weight
    found = value
  }
  return found
}
