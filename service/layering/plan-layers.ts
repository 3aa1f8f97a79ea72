/**
 * Cuts a closure into the layers of an image, so that a client that already has another image, or an earlier
 * release of this one, downloads little.
 *
 * A worked example: the planner knows two images, `shop` and `report`. A release changes each of these two
 * packages with probability .8, and each library with probability .01. The risk of a path is the probability
 * that a release changes the path or one of its dependencies.
 *
 *     shop 20 MB ────> lib 3 MB ────> tables 5 kB          risks:
 *       │               │                                  tables .01    lib  .04    shop   .81
 *       │               v                                  idn    .01    libc .02    report .80
 *       └───────────> libc 30 MB ────> idn 400 kB
 *                       ^
 *     report 8 MB ──────┘
 *
 * 1. Group the paths by image set, the set of images that a path is in. Every image that needs one path of an
 *    image set needs all of them. So layers of such paths store each byte once in the registry, and a client
 *    that pulls several images downloads each byte once.
 *
 *     image set {shop}: shop, lib, tables │ {shop, report}: libc, idn │ {report}: report
 *
 * 2. Merge the paths of each image set. Clients download a layer again when any of its paths changes. So a
 *    merge is expected to lose, for each release, the bytes of each path × the growth of its risk. But a layer
 *    costs something, too (`layerCost`: 8 kB). Merges that lose less are made, the cheapest first
 *    (merge-groups.ts):
 *
 *     tables + lib     tables 5 kB × (.04 − .01)             =   0.15 kB     merged
 *     libc + idn       idn 400 kB × (.02 − .01)              =      4 kB     merged
 *     shop + lib       lib and tables 3 MB × (.81 − .04)     =  2,300 kB     not merged
 *
 *    The result depends on the image set alone, so all images of the set have the same layers:
 *
 *     shop ──> libc idn │ lib tables │ shop          report ──> libc idn │ report
 *
 * 3. While the image has more layers than the budget, or more than its size justifies, make the cheapest merge
 *    whatever it loses. This step also merges layers of different image sets; the loss then includes the bytes
 *    that other images can no longer share. With a budget of 2, shop becomes
 *
 *     shop ──> libc idn │ lib shop tables
 *
 * 4. Order the layers: first the layers that many images have and that rarely change. Some clients identify a
 *    layer by all layers below it, as Docker did for years. Such a client keeps the layers below the first change.
 *
 * In the next release shop has a new store path, and perhaps lib, too. The planner recognises the paths by
 * name (path-identity.ts), so they stay in their image sets. Before step 1 it reuses each earlier layer whose
 * paths are all in the closure, because clients have it already. A path that no known image has skips steps 1
 * and 2; the planner guesses from its referrers how many images share it.
 */

import type { Closure, PathInfo, Plan } from '../closure/closure.ts'
import { type ClosureGraph, graphOf } from '../closure/closure-graph.ts'
import { ChangeRisk, unionOf } from './change-risk.ts'
import type { KnownImages } from './known-images.ts'
import { LayerKnowledge } from './layer-knowledge.ts'
import { orderLayers } from './layer-order.ts'
import { mergeGroups } from './merge-groups.ts'
import { expectationsOf, type PathExpectation } from './path-expectations.ts'
import { byFirstNode, type PathGroup } from './path-group.ts'
import type { ImageSet } from './path-statistics.ts'

export interface PlanOptions {
  /** Most layers in the plan: 1 or more. */
  readonly budget: number
  /**
   * Number of packages in a large package set that refer to a package, by name with version (`zlib-1.3.1`) or
   * without (`zlib`). Used only for paths that no known image has.
   */
  readonly popularity?: ReadonlyMap<string, number>
  /** @default LayerKnowledge.none */
  readonly knowledge?: LayerKnowledge
}

/**
 * Cost of one more layer, in bytes of NAR: its request, its entries in manifest and config, and the framing of
 * its archive (about 3 kB compressed). With this value all merges of an image together lose less than a
 * hundredth of what a client downloads for a release.
 */
const layerCost = 8000

/**
 * Least mean size of the layers of an image with more than `alwaysAllowedLayers`, in bytes. Clients unpack
 * layers one after the other and need a fixed time for each (podman: 50 ms). In that time they can fetch and
 * unpack about this many bytes.
 */
const leastMeanSize = 512 * 1024

/** Number of layers that an image may have however small they are. */
const alwaysAllowedLayers = 24

/**
 * Number of times that a client pulls another image for each release of an image that it has: about one in
 * seven. The value decides only which layers a large image merges first; 0.1 and 0.2 give similar results.
 */
const otherImagePulls = 0.15

/**
 * Cuts a closure into at most `budget` layers; every path is in exactly one layer. The plan is a function of
 * the closure as a set and of the knowledge; the image name has no effect. References to paths outside
 * the closure are ignored. Takes O((n + m) log n) for n paths with m references.
 * @throws RangeError if the budget is not a whole number of at least 1
 */
export function planLayers(closure: Closure, options: PlanOptions): Plan {
  const { budget, popularity, knowledge = LayerKnowledge.none } = options
  if (!Number.isInteger(budget) || budget < 1) {
    throw new RangeError(`the layer budget must be a whole number of at least 1, not ${budget}`)
  }
  const graph = graphOf(closure)
  const { knownImages } = knowledge
  const expectations = expectationsOf(graph, knownImages, popularity)
  const changeRisk = new ChangeRisk(
    graph,
    Float64Array.from(expectations, ({ changeChance }) => changeChance),
  )
  const paths = expectations.map((expectation, node) => {
    return groupOfPath(graph, changeRisk, node, expectation)
  })

  const reusedPlans = reusableLayers(graph, knownImages).map((layers) =>
    layers.map((nodes) => reusedLayer(nodes, paths, changeRisk)),
  )
  const reused = reusedPlans.flat()
  const isReused = new Set(reused.flatMap(({ nodes }) => nodes))
  const rest = paths.filter((_, node) => !isReused.has(node))
  const merged = mergeWithinImageSets(rest, expectations, changeRisk, budget)
  // Clients already have the reused layers, so these may be small: only the budget limits their number.
  const maxGroups = Math.min(budget, reused.length + allowedLayers(rest))
  const layers = mergeGroups([...reused, ...merged].sort(byFirstNode), {
    changeRisk,
    layerCost,
    maxGroups,
    sameImages: false,
  })
  return orderLayers(layers, reusedPlans).map(({ nodes }) => {
    return nodes.map((node) => (graph.paths[node] as PathInfo).path).sort()
  })
}

/** Returns how many layers the size of these groups justifies. */
function allowedLayers(groups: readonly PathGroup[]): number {
  const size = groups.reduce((sum, group) => sum + group.size, 0)
  return Math.max(alwaysAllowedLayers, Math.ceil(size / leastMeanSize))
}

/** Returns the group of a single path. */
function groupOfPath(
  graph: ClosureGraph,
  changeRisk: ChangeRisk,
  node: number,
  { imageCount }: PathExpectation,
): PathGroup {
  const size = graph.paths[node]?.narSize ?? 0
  const dependencies = changeRisk.dependenciesOf(node)
  // `1 - 1 / imageCount` is the share of other images among all images that have the path.
  const sharedBytes = otherImagePulls * size * (1 - 1 / imageCount)
  const risk = changeRisk.of(dependencies)
  return { nodes: [node], size, dependencies, risk, sharedBytes, imageCount }
}

/** Returns the layers of known plans that the closure can use again, as nodes, one list for each plan. */
function reusableLayers(graph: ClosureGraph, knownImages: KnownImages): number[][][] {
  if (knownImages.isEmpty) return []
  const nodes = new Map(graph.paths.map(({ path }, node) => [path, node]))
  const sizes = new Map(graph.paths.map(({ path, narSize }) => [path, narSize]))
  return knownImages.reusableLayers(sizes).map((layers) => {
    return layers.map((layer) => layer.map((path) => nodes.get(path) as number))
  })
}

/**
 * Returns the group of a layer that clients already have. A merge would lose all its bytes. Its shared bytes
 * are larger than the cost of a layer, so only the budget can force a merge.
 */
function reusedLayer(
  nodes: readonly number[],
  paths: readonly PathGroup[],
  changeRisk: ChangeRisk,
): PathGroup {
  const groups = nodes.map((node) => paths[node] as PathGroup)
  const dependencies = unionOf(groups.map((group) => group.dependencies))
  const size = groups.reduce((sum, group) => sum + group.size, 0)
  return {
    nodes: nodes.toSorted((a, b) => a - b),
    size,
    dependencies,
    risk: changeRisk.of(dependencies),
    sharedBytes: size + layerCost,
    imageCount: groups.reduce((least, { imageCount }) => Math.min(least, imageCount), Infinity),
  }
}

/** Does steps 1 and 2. Paths that no known image has are not merged. */
function mergeWithinImageSets(
  paths: readonly PathGroup[],
  expectations: readonly PathExpectation[],
  changeRisk: ChangeRisk,
  budget: number,
): PathGroup[] {
  const newPaths: PathGroup[] = []
  const pathsOf = new Map<ImageSet, PathGroup[]>()
  for (const path of paths) {
    const imageSet = expectations[path.nodes[0] as number]?.imageSet
    const others = imageSet && pathsOf.get(imageSet)
    if (imageSet === undefined) newPaths.push(path)
    else if (others === undefined) pathsOf.set(imageSet, [path])
    else others.push(path)
  }
  const merged = [...pathsOf].flatMap(([imageSet, members]) => {
    return mergeGroups(members, {
      changeRisk,
      layerCost: layerCost * scarcity(imageSet, budget),
      maxGroups: Infinity,
      sameImages: true,
    })
  })
  return [...merged, ...newPaths]
}

/**
 * Returns the factor by which a layer costs more in images that have more paths than layers. The ratio of
 * paths to layers is squared, because an image set has few large paths and many small ones: a cost nine times
 * as high leaves about a third of the layers. The factor is the mean over all images of the set, because they
 * all must have the same layers. It is 1 for the paths of a single image: step 3 merges those, and knows how
 * many layers are left for them.
 */
function scarcity({ pathCounts }: ImageSet, budget: number): number {
  if (pathCounts.length === 1) return 1
  const factors = pathCounts.map((count) => Math.max(1, count / budget) ** 2)
  return factors.reduce((sum, factor) => sum + factor, 0) / factors.length
}
