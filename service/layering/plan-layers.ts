/**
 * Cuts a closure into the layers of an image, so that a client which has another image, or an earlier
 * release of this one, downloads little. A worked example: the images shop and report are known.
 *
 *     shop 20 MB ────> lib 3 MB ────> tables 5 kB          chance that a release changes it
 *       │               │                                  or anything below it:
 *       │               v                                  tables .01    lib  .04    shop   .81
 *       └───────────> libc 30 MB ────> idn 400 kB          idn    .01    libc .02    report .80
 *                       ^
 *     report 8 MB ──────┘
 *
 * 1. Paths that are in exactly the same images keep company. A layer of such paths is of use to every image
 *    that has any of them, so each byte is stored once, and downloaded once by whoever has several images.
 *
 *     shop: shop, lib, tables │ shop and report: libc, idn │ report: report
 *
 * 2. A layer is downloaded again when any of its paths changes. Of each company those pairs become one layer
 *    that are expected to lose less with that than a layer costs, the cheapest first (layer-merging.ts):
 *
 *     tables + lib     tables 5 kB × (.04 − .01)                        0.1 kB     merged
 *     libc + idn       idn 400 kB × (.02 − .01)                           4 kB     merged
 *     shop + lib       lib and tables 3 MB × (.81 − .04)              2,300 kB
 *
 *    The cut depends on the company alone, so all its images have the same layers:
 *
 *     shop ──> libc idn │ lib tables │ shop          report ──> libc idn │ report
 *
 * 3. While an image has more layers than the budget allows, or than its size is worth, the cheapest pair becomes
 *    one whatever it loses, and here also what other images cannot share any more. With a budget of 2, shop is
 *    libc idn │ lib shop tables.
 *
 * 4. The most shared that change least come first: clients that name a layer by all those below it, as Docker
 *    did for long, can keep them.
 *
 * In the next release shop is another path, and perhaps lib. Paths keep their company by name. A layer that was
 * cut before and of which every path is still there is taken as it is, before all else: the clients have it.
 * Of a path in no known image, the references tell as much as they can: it is taken for a company of its own,
 * and for as shared as it has referrers.
 */

import type { Closure, Plan, StorePath } from '../closure/closure.ts'
import { type ClosureGraph, graphOf } from '../closure/closure-graph.ts'
import { ChangeRisk, unionOf } from './change-risk.ts'
import type { Company, Fleet } from './image-sets.ts'
import { LayerKnowledge } from './layer-knowledge.ts'
import { type Group, mergeGroups } from './merge-groups.ts'
import { type Prospect, prospectsOf } from './path-prospects.ts'

export interface PlanOptions {
  /** Most layers in the plan: 1 or more. */
  readonly budget: number
  /**
   * How many packages of a large set refer to a package, by name with version (`zlib-1.3.1`) or
   * without (`zlib`). Asked only about paths that no known image has.
   */
  readonly popularity?: ReadonlyMap<string, number>
  /** @default LayerKnowledge.none */
  readonly knowledge?: LayerKnowledge
}

/**
 * Bytes of a NAR that a layer costs, as many as its request, its place in manifest and configuration, and the
 * frame of its archive take (some 3 kB compressed). With it, what an image loses by all its merges is
 * below a hundredth of what a release makes a client download.
 */
const layerPrice = 8000

/**
 * Bytes that layers have on average where there are many: clients unpack them one after the other and
 * take a while for each (podman 50 ms), in which they could have fetched and unpacked this much.
 */
const smallLayer = 512 * 1024
/** So many layers an image may always have, however small they are. */
const fewLayers = 24

/**
 * Clients pull another image once in about seven releases of one that they have. It decides only what a large
 * image gives up first; between a fifth and a tenth the outcome is much the same.
 */
const otherImages = 0.15

/**
 * Cuts a closure into at most `budget` layers; every path of it is in exactly one. The plan is a function
 * of the closure as a set and of the knowledge, whatever was asked for to get it. References to paths outside
 * the closure are ignored. Takes O((n + m) log n) for n paths with m references.
 * @throws RangeError if the budget is not a whole number of at least 1
 */
export function planLayers(closure: Closure, options: PlanOptions): Plan {
  const { budget, popularity, knowledge = LayerKnowledge.none } = options
  if (!Number.isInteger(budget) || budget < 1) {
    throw new RangeError(`the layer budget must be a whole number of at least 1, not ${budget}`)
  }
  const graph = graphOf(closure)
  const { fleet } = knowledge
  const prospects = prospectsOf(graph, fleet, popularity)
  const risk = new ChangeRisk(
    graph,
    Float64Array.from(prospects, ({ chance }) => chance),
  )
  const alone = prospects.map((prospect, node) => groupOf(graph, risk, node, prospect))

  const kept = keepWholeLayers(graph, fleet, (nodes) =>
    asLayer(
      nodes.map((node) => alone[node] as Group),
      risk,
    ),
  )
  const isKept = new Set(kept.flat().flatMap(({ nodes }) => nodes))
  const rest = alone.filter((_, node) => !isKept.has(node))
  const cut = cutByCompany(rest, prospects, risk, budget)
  // Clients have what was cut before: it counts for the budget alone.
  const most = Math.min(budget, kept.flat().length + layersWorth(rest))
  const layers = mergeGroups([...kept.flat(), ...cut].sort(byFirstNode), {
    ...{ risk, price: layerPrice, most, alike: false },
  })
  return inOrder(layers, kept).map(({ nodes }) => {
    return nodes.map((node) => (graph.paths[node] as { path: StorePath }).path).sort()
  })
}

/** How many layers groups are worth by their size, at most. */
function layersWorth(groups: readonly Group[]): number {
  const size = groups.reduce((sum, group) => sum + group.size, 0)
  return Math.max(fewLayers, Math.ceil(size / smallLayer))
}

function groupOf(graph: ClosureGraph, risk: ChangeRisk, node: number, { images }: Prospect): Group {
  const size = graph.paths[node]?.narSize ?? 0
  const below = risk.below(node)
  // Of the images that have it, all but this one.
  const stake = otherImages * size * (1 - 1 / images)
  return { nodes: [node], size, below, risk: risk.of(below), stake, images }
}

/** What was cut before, for each plan that it was found in. */
function keepWholeLayers(
  graph: ClosureGraph,
  fleet: Fleet,
  layerOf: (nodes: readonly number[]) => Group,
): Group[][] {
  if (fleet.isEmpty) return []
  const nodes = new Map(graph.paths.map(({ path }, node) => [path, node]))
  const sizes = new Map(graph.paths.map(({ path, narSize }) => [path, narSize]))
  return fleet.wholeLayers(sizes).map((layers) => {
    return layers.map((layer) => layerOf(layer.map((path) => nodes.get(path) as number)))
  })
}

/** A layer that clients have: to merge it loses all of it, and is never worth the price of a layer. */
function asLayer(groups: readonly Group[], risk: ChangeRisk): Group {
  const below = unionOf(groups.map((group) => group.below))
  const size = groups.reduce((sum, group) => sum + group.size, 0)
  return {
    nodes: groups.flatMap(({ nodes }) => nodes).sort((a, b) => a - b),
    size,
    below,
    risk: risk.of(below),
    stake: size + layerPrice,
    images: groups.reduce((least, { images }) => Math.min(least, images), Infinity),
  }
}

/** Steps 1 and 2. */
function cutByCompany(
  groups: readonly Group[],
  prospects: readonly Prospect[],
  risk: ChangeRisk,
  budget: number,
): Group[] {
  const strangers: Group[] = []
  const companies = new Map<Company, Group[]>()
  for (const group of groups) {
    const company = prospects[group.nodes[0] as number]?.company
    const others = company && companies.get(company)
    if (company === undefined) strangers.push(group)
    else if (others === undefined) companies.set(company, [group])
    else others.push(group)
  }
  const cut = [...companies].flatMap(([company, members]) => {
    const price = layerPrice * need(company, budget)
    return mergeGroups(members, { risk, price, most: Infinity, alike: true })
  })
  return [...cut, ...strangers]
}

/**
 * How many times as dear layers are where they are scarce: in images with more paths than layers. The
 * square, as a company has few large paths and many small ones, so that a price nine times as high makes about
 * a third of the layers. All images of the company bear it, each the same part, as all have to cut alike; what
 * is in one image only can wait for step 3, which knows how many layers are left for it.
 */
function need({ sizes }: Company, budget: number): number {
  if (sizes.length === 1) return 1
  const needs = sizes.map((size) => Math.max(1, size / budget) ** 2)
  return needs.reduce((sum, one) => sum + one, 0) / needs.length
}

/**
 * Step 4. Layers of one earlier plan keep their order, so that no image is put in another order because its
 * layers are shared by more images than before.
 */
function inOrder(layers: readonly Group[], kept: readonly (readonly Group[])[]): Group[] {
  const isKept = new Set(kept.flat())
  const isLayer = new Set(layers)
  const cut = layers
    .filter((layer) => !isKept.has(layer))
    .sort((a, b) => worth(b) - worth(a) || byFirstNode(a, b))
  const lists = [...kept.map((list) => list.filter((layer) => isLayer.has(layer))), cut]
  const ordered: Group[] = []
  while (ordered.length < layers.length) {
    const heads = lists.flatMap(([head]) => (head === undefined ? [] : [head]))
    const best = heads.reduce((first, head) => (worth(head) > worth(first) ? head : first))
    ordered.push(best)
    lists.find(([head]) => head === best)?.shift()
  }
  return ordered
}

/** How many images can be expected to have a layer after the next release. */
function worth({ images, risk }: Group): number {
  return images * (1 - risk)
}

function byFirstNode(a: Group, b: Group): number {
  return (a.nodes[0] as number) - (b.nodes[0] as number)
}
