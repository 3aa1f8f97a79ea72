/** HEAD TO WRITE */
import { ChangeRisk, unionOf } from './change-risk.ts'
import { type Closure, type StorePath, storePathName } from './closure.ts'
import { type ClosureGraph, graphOf } from './closure-graph.ts'
import type { Acquaintance, Company, Fleet } from './fleet.ts'
import { LayerKnowledge } from './layer-knowledge.ts'
import { type Group, mergeGroups } from './layer-merging.ts'

/** Layers in the order of the image, each with its store paths sorted. */
export type Plan = readonly (readonly StorePath[])[]

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

const layerPrice = 10_000
const applicationChance = 0.8
const libraryChance = 0.01
const priorReleases = 10
const sharing = 0.15

export function planLayers(closure: Closure, options: PlanOptions): Plan {
  const { budget, knowledge = LayerKnowledge.none } = options
  if (!Number.isInteger(budget) || budget < 1) {
    throw new RangeError(`the layer budget must be a whole number of at least 1, not ${budget}`)
  }
  const graph = graphOf(closure)
  const { fleet } = knowledge
  const known = fleet.acquaintances(graph.paths.map(({ path }) => path))
  const risk = new ChangeRisk(graph, chancesOf(graph, known))
  const groupOf = (node: number) =>
    singleGroup(graph, risk, node, usersOf(graph, node, known[node], options))

  const { kept, rest } = keepWholeLayers(graph, fleet)
  const keptGroups = kept.map((lists) =>
    lists.map((nodes) => {
      const group = joined(nodes.map(groupOf), risk)
      return { ...group, stake: group.size + layerPrice }
    }),
  )
  const byCompany = new Map<Company, Group[]>()
  const strangers: Group[] = []
  for (const node of rest) {
    const company = known[node]?.company
    if (company === undefined) strangers.push(groupOf(node))
    else append(byCompany, company, groupOf(node))
  }
  const together = [...byCompany].flatMap(([company, groups]) =>
    mergeGroups(groups, {
      risk,
      price: layerPrice * need(company, fleet, budget),
      most: Infinity,
      alike: true,
    }),
  )
  const all = [...keptGroups.flat(), ...together, ...strangers].sort(
    (a, b) => (a.nodes[0] as number) - (b.nodes[0] as number),
  )
  const merged = mergeGroups(all, { risk, price: layerPrice, most: budget, alike: false })
  return inOrder(merged, keptGroups).map((group) =>
    group.nodes.map((node) => graph.paths[node]?.path as StorePath).sort(),
  )
}

function joined(groups: readonly Group[], risk: ChangeRisk): Group {
  const below = unionOf(groups.map((group) => group.below))
  return {
    nodes: groups.flatMap(({ nodes }) => nodes),
    size: groups.reduce((sum, { size }) => sum + size, 0),
    below,
    risk: risk.of(below),
    stake: 0,
    users: groups.reduce((least, { users }) => Math.min(least, users), Infinity),
  }
}

function chancesOf(
  graph: ClosureGraph,
  known: readonly (Acquaintance | undefined)[],
): Float64Array {
  return Float64Array.from(graph.paths, (_, node) => {
    const acquaintance = known[node]
    if (acquaintance === undefined)
      return graph.referrers[node] === 0 ? applicationChance : libraryChance
    const { company, tops, releases, changes } = acquaintance
    const prior =
      tops > 0
        ? libraryChance + (applicationChance - libraryChance) / company.images.length
        : libraryChance
    return (changes + priorReleases * prior) / (releases + priorReleases)
  })
}

function usersOf(
  graph: ClosureGraph,
  node: number,
  acquaintance: Acquaintance | undefined,
  { popularity }: PlanOptions,
): number {
  if (acquaintance !== undefined) return acquaintance.company.images.length
  const referrers = graph.referrers[node] as number
  return (
    1 +
    Math.max(
      referrers,
      popularity === undefined
        ? 0
        : lookUp(popularity, storePathName(graph.paths[node]?.path ?? '')),
    )
  )
}

function lookUp(popularity: ReadonlyMap<string, number>, name: string): number {
  return popularity.get(name) ?? popularity.get(name.replace(/-[^A-Za-z].*$/s, '')) ?? 0
}

function singleGroup(graph: ClosureGraph, risk: ChangeRisk, node: number, users: number): Group {
  const size = graph.paths[node]?.narSize as number
  const below = risk.below(node)
  return {
    nodes: [node],
    size,
    below,
    risk: risk.of(below),
    stake: sharing * size * (1 - 1 / users),
    users,
  }
}

function keepWholeLayers(
  graph: ClosureGraph,
  fleet: Fleet,
): { kept: number[][][]; rest: number[] } {
  const nodes = new Map(graph.paths.map(({ path }, node) => [path, node]))
  const sizes = new Map(graph.paths.map(({ path, narSize }) => [path, narSize]))
  const kept = fleet
    .wholeLayers(sizes)
    .map((layers) => layers.map((layer) => layer.map((path) => nodes.get(path) as number)))
  const taken = new Set(kept.flat(2))
  return { kept, rest: [...nodes.values()].filter((node) => !taken.has(node)) }
}

function need({ images }: Company, { sizes }: Fleet, budget: number): number {
  return (
    images.reduce((sum, image) => sum + Math.max(1, (sizes[image] as number) / budget) ** 2, 0) /
    images.length
  )
}

function append<K>(groups: Map<K, Group[]>, key: K, group: Group): void {
  const others = groups.get(key)
  if (others) others.push(group)
  else groups.set(key, [group])
}

function inOrder(groups: readonly Group[], kept: readonly (readonly Group[])[]): Group[] {
  const rank = ({ users, risk }: Group) => users * (1 - risk)
  const set = new Set(groups)
  const keptSet = new Set(kept.flat())
  const lists = [
    ...kept.map((l) => l.filter((g) => set.has(g))),
    groups
      .filter((g) => !keptSet.has(g))
      .sort((a, b) => rank(b) - rank(a) || (a.nodes[0] as number) - (b.nodes[0] as number)),
  ].filter((l) => l.length)
  const out: Group[] = []
  const heads = lists.map(() => 0)
  for (;;) {
    let best = -1
    for (let i = 0; i < lists.length; i++) {
      const g = lists[i]?.[heads[i] as number]
      if (g === undefined) continue
      const b = best === -1 ? undefined : lists[best]?.[heads[best] as number]
      if (b === undefined || rank(g) > rank(b)) best = i
    }
    if (best === -1) return out
    out.push(lists[best]?.[heads[best] as number] as Group)
    heads[best] = (heads[best] as number) + 1
  }
}
