/** Index over the images that the registry serves, in which the planner looks up the paths of a closure. */
import type { StorePath } from '../closure/closure.ts'
import type { KnowledgeDocument } from './knowledge-document.ts'
import { identitiesOf } from './path-identity.ts'
import { type PathStatistics, pathStatisticsOf } from './path-statistics.ts'

type Layer = readonly StorePath[]

export class KnownImages {
  readonly isEmpty: boolean
  readonly #statistics: ReadonlyMap<string, PathStatistics>
  readonly #layers: readonly Layer[]
  /** Every plan of every image: the numbers of its layers. */
  readonly #plans: readonly (readonly number[])[]
  /** Numbers of the layers that have a path. */
  readonly #layersOf = new Map<StorePath, number[]>()

  constructor(document: KnowledgeDocument) {
    const { paths, layers, images } = document
    this.isEmpty = images.length === 0
    this.#statistics = pathStatisticsOf(document)
    this.#layers = layers.map((layer) => layer.map((path) => paths[path] as StorePath))
    this.#plans = images.flatMap(({ plans }) => plans)
    for (const [layer, layerPaths] of this.#layers.entries()) {
      for (const path of layerPaths) {
        const others = this.#layersOf.get(path)
        if (others) others.push(layer)
        else this.#layersOf.set(path, [layer])
      }
    }
  }

  /** Returns the statistics of each path of a closure; undefined for a path that no known image has. */
  statisticsOf(paths: readonly StorePath[]): (PathStatistics | undefined)[] {
    if (this.isEmpty) return paths.map(() => undefined)
    return identitiesOf(paths).map((identity) => this.#statistics.get(identity))
  }

  /**
   * Returns the layers of known plans that a closure can use again, because it has all their paths. No path
   * is in two of them. The result has one list of layers for each plan that they come from, in that plan's
   * order. The plan that covers most bytes of the closure is used first. In general this is the plan of the same
   * image in an earlier release, if there is one.
   * @param sizes bytes of each path of the closure
   */
  reusableLayers(sizes: ReadonlyMap<StorePath, number>): Layer[][] {
    const bytes = this.#bytesOfComplete(sizes)
    const pathsOfLayer = (layer: number) => this.#layers[layer] ?? []
    const covered = new Set<StorePath>()
    const isFree = (layer: number) => pathsOfLayer(layer).every((path) => !covered.has(path))
    const reusable: Layer[][] = []
    let plans = this.#plans.map((plan) => plan.filter((layer) => bytes.has(layer)))
    for (;;) {
      plans = plans.map((plan) => plan.filter(isFree)).filter((plan) => plan.length > 0)
      const best = firstLargest(plans, (plan) => {
        return plan.reduce((sum, layer) => sum + (bytes.get(layer) ?? 0), 0)
      })
      if (best === undefined) return reusable
      reusable.push(best.map(pathsOfLayer))
      for (const path of best.flatMap(pathsOfLayer)) covered.add(path)
    }
  }

  /** Returns the bytes of each layer whose paths are all in the closure, by layer number. */
  #bytesOfComplete(sizes: ReadonlyMap<StorePath, number>): Map<number, number> {
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

/** Returns the value with the largest size. If several have this size, returns the first. */
function firstLargest<T>(values: readonly T[], sizeOf: (value: T) => number): T | undefined {
  let largest = -Infinity
  let found: T | undefined
  for (const value of values) {
    const size = sizeOf(value)
    if (size <= largest) continue
    largest = size
    found = value
  }
  return found
}
