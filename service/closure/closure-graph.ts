/** The closure as a graph of numbered nodes: adjacency lists in typed arrays. */
import { compareCodeUnits } from '../text/order.ts'
import { type Closure, type PathInfo, type StorePath, storePathName } from './closure.ts'

type Edges = Pick<ClosureGraph, 'offsets' | 'targets'>

export interface ClosureGraph {
  /**
   * The path of each node, sorted by name and then by path. Sorting by path alone would renumber the nodes in
   * every release, because the hashes change, and so change every decision that depends on node numbers.
   */
  readonly paths: readonly PathInfo[]
  /** Node n refers to `targets[offsets[n]]` … `targets[offsets[n + 1] - 1]`. */
  readonly offsets: Uint32Array
  readonly targets: Uint32Array
  /** Number of other nodes that refer to each node. */
  readonly referrers: Uint32Array
  /** All nodes, each after the nodes that it refers to. A cycle is broken at one of its references. */
  readonly order: Uint32Array
}

/** Ignores repeated references, references of a path to itself and references to paths outside the closure. */
export function graphOf(closure: Closure): ClosureGraph {
  const paths = distinctPaths(closure)
  const { offsets, targets } = referencesBetween(paths)
  const referrers = new Uint32Array(paths.length)
  for (const target of targets) referrers[target] = at(referrers, target) + 1
  return { paths, offsets, targets, referrers, order: referencesFirst(offsets, targets) }
}

function distinctPaths(closure: Closure): readonly PathInfo[] {
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
  // The last node that was seen to refer to each node. It detects repeated references.
  const lastReferrer = new Int32Array(paths.length).fill(-1)
  let edges = 0
  for (const [self, info] of paths.entries()) {
    for (const reference of info.references) {
      const node = nodes.get(reference)
      if (node === undefined || node === self || lastReferrer[node] === self) continue
      lastReferrer[node] = self
      targets[edges++] = node
    }
    offsets[self + 1] = edges
  }
  // Transposing twice sorts each adjacency list (counting sort).
  return transpose(transpose({ offsets, targets: targets.subarray(0, edges) }))
}

/** Reverses every edge. */
function transpose({ offsets, targets }: Edges): Edges {
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

/** Depth-first postorder. Without recursion, because a closure may be one long chain. */
function referencesFirst(offsets: Uint32Array, targets: Uint32Array): Uint32Array {
  const size = offsets.length - 1
  const order = new Uint32Array(size)
  const isVisited = new Uint8Array(size)
  const nextEdge = offsets.slice(0, size)
  const stack = new Uint32Array(size)
  let done = 0
  for (let start = 0; start < size; start++) {
    if (isVisited[start]) continue
    isVisited[start] = 1
    stack[0] = start
    for (let depth = 1; depth > 0; ) {
      const node = at(stack, depth - 1)
      const edge = at(nextEdge, node)
      if (edge === at(offsets, node + 1)) {
        order[done++] = node
        depth--
        continue
      }
      nextEdge[node] = edge + 1
      const target = at(targets, edge)
      if (isVisited[target]) continue
      isVisited[target] = 1
      stack[depth++] = target
    }
  }
  return order
}

/** Returns an element whose index is known to be inside the array. */
function at(array: Uint32Array, index: number): number {
  return array[index] as number
}
