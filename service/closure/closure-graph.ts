/** A closure as a graph over numbers, which is what everything that is worked out about it needs. */
import { compareCodeUnits } from '../text/order.ts'
import { type Closure, type PathInfo, type StorePath, storePathName } from './closure.ts'

type Edges = Pick<ClosureGraph, 'offsets' | 'targets'>

export interface ClosureGraph {
  /**
   * Each path once, by name and then by path. Paths alone change in every release, and with their order
   * would change whatever is decided by node number.
   */
  readonly paths: readonly PathInfo[]
  /** `targets[offsets[n]]` to `targets[offsets[n + 1] - 1]` are what node n refers to. */
  readonly offsets: Uint32Array
  readonly targets: Uint32Array
  /** How many others refer to a node. */
  readonly referrers: Uint32Array
  /** All nodes, each after what it refers to; where there is a cycle, after as much of it as can be. */
  readonly order: Uint32Array
}

/** References of a path to itself, to paths outside the closure, and repeated ones are left out. */
export function graphOf(closure: Closure): ClosureGraph {
  const paths = distinct(closure)
  const { offsets, targets } = referencesBetween(paths)
  const referrers = new Uint32Array(paths.length)
  for (const target of targets) referrers[target] = at(referrers, target) + 1
  return { paths, offsets, targets, referrers, order: referencesFirst(offsets, targets) }
}

function distinct(closure: Closure): readonly PathInfo[] {
  return closure
    .map((info) => ({ info, name: storePathName(info.path) }))
    .sort((a, b) => compareCodeUnits(a.name, b.name) || compareCodeUnits(a.info.path, b.info.path))
    .map(({ info }) => info)
    .filter((info, index, sorted) => info.path !== sorted[index - 1]?.path)
}

function referencesBetween(paths: readonly PathInfo[]): Edges {
  const nodes = new Map<StorePath, number>()
  for (const [node, { path }] of paths.entries()) nodes.set(path, node)
  const offsets = new Uint32Array(paths.length + 1)
  const targets = new Uint32Array(paths.reduce((sum, info) => sum + info.references.length, 0))
  // node → the latest that was seen to refer to it, so that a reference named twice counts once.
  const seenFrom = new Int32Array(paths.length).fill(-1)
  let edges = 0
  for (const [self, info] of paths.entries()) {
    for (const reference of info.references) {
      const node = nodes.get(reference)
      if (node === undefined || node === self || seenFrom[node] === self) continue
      seenFrom[node] = self
      targets[edges++] = node
    }
    offsets[self + 1] = edges
  }
  // The order in which references are named has no meaning: turned round twice, they are in order of number.
  return turnedRound(turnedRound({ offsets, targets: targets.subarray(0, edges) }))
}

/** Every edge the other way. */
function turnedRound({ offsets, targets }: Edges): Edges {
  const size = offsets.length - 1
  const ends = new Uint32Array(size + 1)
  for (const target of targets) ends[target + 1] = at(ends, target + 1) + 1
  for (let node = 1; node <= size; node++) ends[node] = at(ends, node) + at(ends, node - 1)
  const starts = ends.slice()
  const sources = new Uint32Array(targets.length)
  for (let source = 0; source < size; source++) {
    const end = at(offsets, source + 1)
    for (let edge = at(offsets, source); edge < end; edge++) {
      const target = at(targets, edge)
      const place = at(ends, target)
      sources[place] = source
      ends[target] = place + 1
    }
  }
  return { offsets: starts, targets: sources }
}

/** Depth first, each node when all below it are done. Without recursion: a closure may be one long chain. */
function referencesFirst(offsets: Uint32Array, targets: Uint32Array): Uint32Array {
  const size = offsets.length - 1
  const order = new Uint32Array(size)
  const met = new Uint8Array(size)
  const nextEdge = offsets.slice(0, size)
  const way = new Uint32Array(size)
  let done = 0
  for (let start = 0; start < size; start++) {
    if (met[start]) continue
    met[start] = 1
    way[0] = start
    for (let depth = 1; depth > 0; ) {
      const node = at(way, depth - 1)
      const edge = at(nextEdge, node)
      if (edge === at(offsets, node + 1)) {
        order[done++] = node
        depth--
        continue
      }
      nextEdge[node] = edge + 1
      const target = at(targets, edge)
      if (met[target]) continue
      met[target] = 1
      way[depth++] = target
    }
  }
  return order
}

/** An element that is there: for indices that the algorithm itself has made. */
function at(array: Uint32Array, index: number): number {
  return array[index] as number
}
