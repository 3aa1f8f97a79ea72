/**
 * Dominator tree of a directed graph: d dominates n when every way from the root to n passes d. The
 * last dominator before n itself is its immediate one, and these make a tree:
 *
 *     graph                    dominator tree of 0
 *
 *     0 ──> 1 ──> 3 ──> 4      0
 *     │           ^     │      ├── 1
 *     └───> 2 ────┘     │      ├── 2
 *           ^           │      └── 3          3 is reached by way of 1 and by way of 2
 *           └───────────┘          └── 4
 *
 * Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph", ACM TOPLAS 1 (1979),
 * pages 121–141: the version with path compression alone, O(m log n) for n nodes and m edges, cycles or not.
 * Nothing here recurses: a closure may be a chain as deep as it is large.
 * @see https://doi.org/10.1145/357062.357071
 */

/** A directed graph over the nodes 0 … size − 1, its edges in one array. */
export interface Graph {
  readonly size: number
  /** `targets[offsets[n]]` to `targets[offsets[n + 1] - 1]` are the nodes that n has edges to. */
  readonly offsets: Uint32Array
  readonly targets: Uint32Array
}

export interface DominatorTree {
  /** Immediate dominator of each node; `none` for the root and for what it does not reach. */
  readonly parent: Int32Array
  /** The nodes that the root reaches, the root first, every node after its dominators. */
  readonly order: Int32Array
}

export const none = -1

/** The nodes that a node has edges to. */
export function successors({ offsets, targets }: Graph, node: number): Uint32Array {
  return targets.subarray(at(offsets, node), at(offsets, node + 1))
}

/** The graph with one node more, `graph.size`, that has edges to `nodes`. */
export function withNode(graph: Graph, nodes: readonly number[]): Graph {
  const edges = at(graph.offsets, graph.size)
  const offsets = new Uint32Array(graph.size + 2)
  offsets.set(graph.offsets)
  offsets[graph.size + 1] = edges + nodes.length
  const targets = new Uint32Array(edges + nodes.length)
  targets.set(graph.targets)
  targets.set(nodes, edges)
  return { size: graph.size + 1, offsets, targets }
}

/** The dominator tree of what `root` reaches. */
export function dominatorTree(graph: Graph, root: number): DominatorTree {
  const search = depthFirst(graph, root)
  const dominators = immediateDominators(search, predecessors(graph, search))
  const parent = new Int32Array(graph.size).fill(none)
  for (let number = 1; number < search.order.length; number++) {
    parent[at(search.order, number)] = at(search.order, at(dominators, number))
  }
  return { parent, order: search.order }
}

/** A depth-first search names nodes by when it met them; after it, "number" means that, not the node. */
interface Search {
  /** number → node */
  readonly order: Int32Array
  /** node → number, or none */
  readonly numbers: Int32Array
  /** number → number of the parent in the search tree */
  readonly parents: Int32Array
}

function depthFirst(graph: Graph, root: number): Search {
  const order = new Int32Array(graph.size)
  const numbers = new Int32Array(graph.size).fill(none)
  const parents = new Int32Array(graph.size).fill(none)
  const nextEdge = graph.offsets.slice(0, graph.size)
  let met = 0
  order[met] = root
  numbers[root] = met++
  // The way back up is `parents`, so that the search needs no stack.
  let current = 0
  while (current !== none) {
    const node = at(order, current)
    const edge = at(nextEdge, node)
    if (edge === at(graph.offsets, node + 1)) {
      current = at(parents, current)
      continue
    }
    nextEdge[node] = edge + 1
    const target = at(graph.targets, edge)
    if (at(numbers, target) === none) {
      parents[met] = current
      order[met] = target
      numbers[target] = met
      current = met++
    }
  }
  return { order: order.slice(0, met), numbers, parents: parents.slice(0, met) }
}

/** The graph as the search saw it, with its edges turned round: number → numbers of predecessors. */
function predecessors(graph: Graph, { order, numbers }: Search): Graph {
  const size = order.length
  // Shifted by one, so that after filling, each offset has moved to where its node's edges begin.
  const offsets = new Uint32Array(size + 2)
  const eachEdge = (visit: (source: number, target: number) => void) => {
    for (let source = 0; source < size; source++) {
      const node = at(order, source)
      const end = at(graph.offsets, node + 1)
      for (let edge = at(graph.offsets, node); edge < end; edge++) {
        visit(source, at(numbers, at(graph.targets, edge)))
      }
    }
  }
  eachEdge((_, target) => {
    offsets[target + 2] = at(offsets, target + 2) + 1
  })
  for (let node = 2; node < size + 2; node++) {
    offsets[node] = at(offsets, node) + at(offsets, node - 1)
  }
  const targets = new Uint32Array(at(offsets, size + 1))
  eachEdge((source, target) => {
    const slot = at(offsets, target + 1)
    targets[slot] = source
    offsets[target + 1] = slot + 1
  })
  return { size, offsets: offsets.subarray(0, size + 1), targets }
}

/** Steps 2 to 4 of the paper, over search numbers; its names in brackets. */
function immediateDominators({ parents }: Search, before: Graph): Int32Array {
  const size = parents.length
  const dominators = new Int32Array(size) // [dom]
  const semi = identity(size)
  const forest = new Forest(semi)
  // The nodes whose semidominator is s [bucket(s)], as linked lists: first[s], then next[…].
  const first = new Int32Array(size).fill(none)
  const next = new Int32Array(size).fill(none)

  for (let w = size - 1; w > 0; w--) {
    const end = at(before.offsets, w + 1)
    for (let edge = at(before.offsets, w); edge < end; edge++) {
      const candidate = at(semi, forest.best(at(before.targets, edge)))
      if (candidate < at(semi, w)) semi[w] = candidate
    }
    next[w] = at(first, at(semi, w))
    first[at(semi, w)] = w

    const parent = at(parents, w)
    forest.link(parent, w)
    for (let v = at(first, parent); v !== none; v = at(next, v)) {
      const best = forest.best(v)
      dominators[v] = at(semi, best) < at(semi, v) ? best : parent
    }
    first[parent] = none
  }
  for (let w = 1; w < size; w++) {
    if (at(dominators, w) !== at(semi, w)) dominators[w] = at(dominators, at(dominators, w))
  }
  return dominators
}

/** The trees that grow while the search tree is walked upwards [LINK and EVAL]. */
class Forest {
  readonly #semi: Int32Array
  readonly #ancestor: Int32Array
  readonly #label: Int32Array
  readonly #path: Int32Array

  constructor(semi: Int32Array) {
    this.#semi = semi
    this.#ancestor = new Int32Array(semi.length).fill(none)
    this.#label = identity(semi.length)
    this.#path = new Int32Array(semi.length)
  }

  link(parent: number, child: number): void {
    this.#ancestor[child] = parent
  }

  /** Of the nodes from v up to its tree's root, without the root, one with the lowest semidominator. */
  best(v: number): number {
    const ancestor = this.#ancestor
    const label = this.#label
    const semi = this.#semi
    // Path compression: everything between v and the root is hung directly below the root.
    let depth = 0
    for (let node = v; at(ancestor, node) !== none; node = at(ancestor, node)) {
      this.#path[depth++] = node
    }
    // The uppermost already hangs there. Downwards, so that a node's ancestor is done before the node.
    for (let index = depth - 2; index >= 0; index--) {
      const node = at(this.#path, index)
      const above = at(ancestor, node)
      if (at(semi, at(label, above)) < at(semi, at(label, node))) label[node] = at(label, above)
      ancestor[node] = at(ancestor, above)
    }
    return at(label, v)
  }
}

function identity(size: number): Int32Array {
  return new Int32Array(size).map((_, index) => index)
}

/** An element that is there: for indices that the algorithm itself has made. */
function at(array: Int32Array | Uint32Array, index: number): number {
  return array[index] as number
}
