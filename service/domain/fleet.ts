/** All images that the registry serves: what their store paths have in common, and how they were cut. */
import type { StorePath } from './closure.ts'
import type { KnowledgeDocument } from './layer-knowledge.ts'
import { identitiesOf } from './path-identity.ts'

/** What is known of a store path by what it is called. */
export interface Acquaintance {
  /** Paths of the same company are in exactly the same images. */
  readonly company: Company
  /** In how many images nothing else refers to it. */
  readonly tops: number
  readonly releases: number
  /** Releases in which it changed by itself. */
  readonly changes: number
}

/** The images that have a path. */
export interface Company {
  readonly images: readonly number[]
}

export class Fleet {
  /** Store paths of each image. */
  readonly sizes: readonly number[]
  readonly #acquaintances: ReadonlyMap<string, Acquaintance>
  readonly #layers: readonly (readonly StorePath[])[]
  readonly #plans: readonly (readonly number[])[]
  readonly #layersOf: ReadonlyMap<StorePath, readonly number[]>

  constructor({ paths, layers, images, history }: KnowledgeDocument) {
    const closures = images.map(({ plans, unplanned }) => {
      const places = unplanned ?? (plans[0] ?? []).flatMap((layer) => layers[layer] as number[])
      return places.map((place) => paths[place] as StorePath)
    })
    this.sizes = closures.map((closure) => closure.length)
    const tops = images.map(
      (image) => new Set(image.tops.map((place) => paths[place] as StorePath)),
    )
    this.#acquaintances = acquaintances(closures, tops, history)
    this.#layers = layers.map((layer) => layer.map((place) => paths[place] as StorePath))
    this.#plans = images.flatMap(({ plans }) => plans)
    this.#layersOf = invert(this.#layers)
  }

  /** For each path of a closure what is known of it, if anything is. */
  acquaintances(paths: readonly StorePath[]): (Acquaintance | undefined)[] {
    if (this.#acquaintances.size === 0) return paths.map(() => undefined)
    return identitiesOf(paths).map((identity) => this.#acquaintances.get(identity))
  }

  /**
   * The layers that were cut before and of which a closure has every path, none overlapping another; by
   * the plan that they were found in, in its order. The plan that has most of the closure's bytes goes first:
   * the one of the same image in an earlier release, if there is one.
   */
  wholeLayers(sizes: ReadonlyMap<StorePath, number>): (readonly StorePath[])[][] {
    const counts = new Map<number, number>()
    for (const path of sizes.keys()) {
      for (const layer of this.#layersOf.get(path) ?? []) {
        counts.set(layer, (counts.get(layer) ?? 0) + 1)
      }
    }
    const bytes = new Map<number, number>()
    for (const [layer, count] of counts) {
      const paths = this.#layers[layer] as readonly StorePath[]
      if (count < paths.length) continue
      bytes.set(
        layer,
        paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0),
      )
    }
    const found: (readonly StorePath[])[][] = []
    const taken = new Set<StorePath>()
    const isFree = (layer: number) =>
      this.#layers[layer]?.every((path) => !taken.has(path)) ?? false
    let plans = this.#plans.map((plan) => plan.filter((layer) => bytes.has(layer)))
    for (;;) {
      plans = plans.map((plan) => plan.filter(isFree)).filter((plan) => plan.length > 0)
      if (plans.length === 0) return found
      const weights = plans.map((plan) =>
        plan.reduce((sum, layer) => sum + (bytes.get(layer) ?? 0), 0),
      )
      const best = plans[weights.indexOf(Math.max(...weights))] ?? []
      found.push(best.map((layer) => this.#layers[layer] as readonly StorePath[]))
      for (const layer of best) for (const path of this.#layers[layer] ?? []) taken.add(path)
    }
  }
}

function acquaintances(
  closures: readonly (readonly StorePath[])[],
  tops: readonly ReadonlySet<StorePath>[],
  history: KnowledgeDocument['history'],
): Map<string, Acquaintance> {
  const found = new Map<string, { images: number[]; tops: number }>()
  for (const [image, closure] of closures.entries()) {
    const identities = identitiesOf(closure)
    for (const [place, path] of closure.entries()) {
      const identity = identities[place] as string
      const entry = found.get(identity) ?? { images: [], tops: 0 }
      entry.images.push(image)
      if (tops[image]?.has(path)) entry.tops++
      found.set(identity, entry)
    }
  }
  const companies = new Map<string, Company>()
  const counts = new Map(
    history.map(([identity, releases, changes]) => [identity, { releases, changes }]),
  )
  return new Map(
    found.entries().map(([identity, { images, tops }]) => {
      const key = images.join()
      const company = companies.get(key) ?? { images }
      companies.set(key, company)
      const { releases, changes } = counts.get(identity) ?? { releases: 0, changes: 0 }
      return [identity, { company, tops, releases, changes }]
    }),
  )
}

function invert(layers: readonly (readonly StorePath[])[]): Map<StorePath, number[]> {
  const layersOf = new Map<StorePath, number[]>()
  for (const [layer, paths] of layers.entries()) {
    for (const path of paths) {
      const others = layersOf.get(path)
      if (others) others.push(layer)
      else layersOf.set(path, [layer])
    }
  }
  return layersOf
}
