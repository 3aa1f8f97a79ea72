/**
 * Cuts a closure into the layers of an image so that images with overlapping closures have layers in
 * common. The idea is Nixery's (https://tazj.in/blog/nixery-layers). A worked example, sizes in MB,
 * `──>` for "refers to":
 *
 *     service 2 ──> lib 1 ──> tables 1
 *         │           │
 *         │           └──────────┐
 *         v                      v
 *     python 100 ──> expat 1 ──> glibc 30 ──> idn 2
 *         │                      ^
 *         └──────────────────────┘
 *
 * 1. A virtual root ● gets edges to the paths that nothing else refers to: here service.
 * 2. What is big (python) or popular (glibc: three others refer to it) is singled out: it gets an edge
 *    from ● too, and with that a place directly below ● in the dominator tree (dominators.ts):
 *
 *     ●
 *     ├── service ── lib ── tables
 *     ├── python ── expat
 *     └── glibc ── idn
 *
 * 3. Each subtree below ● is a layer: whoever has its top has all of it. Only a path that was singled
 *    out is a layer alone, and the rest of its subtree another: with a further path that refers to idn,
 *    idn would leave the subtree, and glibc's 30 MB would be in a layer that no other image has.
 *
 *     layer                  popularity × size = rating
 *     service, lib, tables       1          4       4
 *     python                     1        100     100
 *     expat                      1          1       1
 *     glibc                      3         30      90
 *     idn                        3          2       6
 *
 * 4. While there are more layers than the budget allows, the two with the lowest ratings become one. With
 *    a budget of 4: service, lib, tables and expat.
 * 5. The most popular comes first: glibc │ idn │ python │ expat, lib, service, tables.
 */
import { type Closure, type PathInfo, type StorePath, storePathName } from './closure.ts'
import { dominatorTree, type Graph, successors, withNode } from './dominators.ts'

/** Layers in the order of the image, each with its store paths sorted. */
export type Plan = readonly (readonly StorePath[])[]

export interface PlanOptions {
  /** Most layers in the plan: 1 or more. */
  readonly budget: number
  /**
   * How many packages of a large set refer to a package, by name with version (`zlib-1.3.1`) or
   * without (`zlib`). A path that is not in it is as popular as the closure makes it.
   */
  readonly popularity?: ReadonlyMap<string, number>
}

/**
 * Bytes of a NAR. This much is above 1 MB when compressed, and takes as long to download again (0.1 s at
 * 100 Mbit/s) as the request that a layer more costs. Below that, a layer of its own gains little.
 * A path's size is the same in every closure, so it is singled out in every image or in none.
 */
const bigPath = 4 * 1024 * 1024

/**
 * Referrers in a set like nixpkgs. What a hundred packages need (zlib, openssl, perl) is likely to be in
 * an image that has nothing else in common with this one.
 */
const popularInSet = 100

/**
 * Referrers within the closure, for lack of better knowledge. Two are often one package, as two of its
 * outputs; three are a sign that a path is of use elsewhere.
 */
const popularInClosure = 3

/**
 * Cuts a closure into at most `budget` layers; every path of it is in exactly one. The plan is a function
 * of the closure as a set, whatever was asked for to get it. References to paths outside the
 * closure are ignored. Takes O((n + m) log n) for n paths with m references.
 * @throws RangeError if the budget is not a whole number of at least 1
 */
export function planLayers(closure: Closure, { budget, popularity }: PlanOptions): Plan {
  if (!Number.isInteger(budget) || budget < 1) {
    throw new RangeError(`the layer budget must be a whole number of at least 1, not ${budget}`)
  }
  const paths = distinct(closure)
  const references = referencesBetween(paths)
  const referrers = countReferrers(references)
  const ratings = paths.map((info, node) => rate(info, referrers[node] ?? 0, popularity))
  const subtrees = cut(references, referrers, ratings)
  return mergeToBudget(subtrees, budget)
    .sort(mostSharedFirst)
    .map((layer) => layer.nodes.sort((a, b) => a - b).map((node) => pathOf(paths, node)))
}

/** What the cut needs to know of a path. */
interface Rated {
  /** At least 1: a path that nothing refers to is wanted for itself. */
  readonly popularity: number
  readonly size: number
  readonly singledOut: boolean
}

interface Layer {
  /** Of its top; for a merged layer the lower of both, as only who wants both can share it. */
  readonly popularity: number
  /** Bytes. */
  readonly size: number
  /** Smallest node: tells layers apart that are alike otherwise. */
  readonly first: number
  readonly nodes: number[]
}

/** Each path once, sorted, so that from here on the order of node numbers is the order of store paths. */
function distinct(closure: Closure): readonly PathInfo[] {
  return closure
    .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .filter((info, index, sorted) => info.path !== sorted[index - 1]?.path)
}

/** The references among the nodes; those of a path to itself or to the outside are left out. */
function referencesBetween(paths: readonly PathInfo[]): Graph {
  const nodes = new Map(paths.map((info, node) => [info.path, node]))
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
  return { size: paths.length, offsets, targets: targets.subarray(0, edges) }
}

function countReferrers({ size, targets }: Graph): Uint32Array {
  const counts = new Uint32Array(size)
  for (const node of targets) counts[node] = (counts[node] ?? 0) + 1
  return counts
}

function rate(info: PathInfo, referrers: number, popularity: PlanOptions['popularity']): Rated {
  const known = popularity && lookUp(popularity, storePathName(info.path))
  const popular = known === undefined ? referrers >= popularInClosure : known >= popularInSet
  return {
    popularity: Math.max(1, known ?? referrers),
    size: info.narSize,
    singledOut: popular || info.narSize >= bigPath,
  }
}

/**
 * By the name with its version, else without: as Nix parts them, at the first dash before anything
 * but a letter.
 * @see https://nix.dev/manual/nix/stable/language/builtins.html#builtins-parseDrvName
 */
function lookUp(popularity: ReadonlyMap<string, number>, name: string): number | undefined {
  return popularity.get(name) ?? popularity.get(name.replace(/-[^A-Za-z].*$/s, ''))
}

/** Steps 1 to 3: the subtrees directly below the virtual root of the dominator tree. */
function cut(references: Graph, referrers: Uint32Array, ratings: readonly Rated[]): Layer[] {
  const virtualRoot = references.size
  const roots = naturalRoots(references, referrers)
  const below = ratings.keys().filter((node) => roots.has(node) || ratings[node]?.singledOut)
  const { parent, order } = dominatorTree(withNode(references, [...below]), virtualRoot)

  const alone: number[][] = []
  const subtrees = new Map<number, number[]>()
  const tops = new Int32Array(references.size)
  for (const node of order.subarray(1)) {
    const dominator = parent[node] as number
    const top = dominator === virtualRoot ? node : (tops[dominator] as number)
    tops[node] = top
    if (node === top && ratings[node]?.singledOut) alone.push([node])
    else append(subtrees, top, node)
  }
  const layer = (top: number, nodes: number[]): Layer => ({
    popularity: ratings[top]?.popularity ?? 1,
    size: nodes.reduce((sum, node) => sum + (ratings[node]?.size ?? 0), 0),
    first: nodes.reduce((a, b) => Math.min(a, b)),
    nodes,
  })
  return [
    ...alone.map((nodes) => layer(nodes[0] as number, nodes)),
    ...subtrees.entries().map(([top, nodes]) => layer(top, nodes)),
  ]
}

function append(groups: Map<number, number[]>, key: number, node: number): void {
  const group = groups.get(key)
  if (group) group.push(node)
  else groups.set(key, [node])
}

/**
 * The nodes that nothing refers to; then, as long as a cycle keeps nodes out of reach of these, the
 * smallest of those.
 */
function naturalRoots(references: Graph, referrers: Uint32Array): Set<number> {
  const roots = new Set<number>()
  const reached = new Uint8Array(references.size)
  const reachFrom = (root: number) => {
    if (reached[root]) return
    roots.add(root)
    reached[root] = 1
    const pending = [root]
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (const next of successors(references, node)) {
        if (reached[next]) continue
        reached[next] = 1
        pending.push(next)
      }
    }
  }
  for (const [node, count] of referrers.entries()) if (count === 0) reachFrom(node)
  for (const node of referrers.keys()) reachFrom(node)
  return roots
}

/** Step 4. */
function mergeToBudget(layers: readonly Layer[], budget: number): Layer[] {
  const heap = [...layers].sort(lowestRatingFirst) // a sorted array is a heap already
  while (heap.length > budget) {
    const lowest = takeLowest(heap)
    replaceLowest(heap, merge(lowest, heap[0] as Layer))
  }
  return heap
}

function merge(a: Layer, b: Layer): Layer {
  // The shorter list moves, so that all merges together move each node at most log n times.
  const [kept, moved] = a.nodes.length < b.nodes.length ? [b.nodes, a.nodes] : [a.nodes, b.nodes]
  for (const node of moved) kept.push(node)
  return {
    popularity: Math.min(a.popularity, b.popularity),
    size: a.size + b.size,
    first: Math.min(a.first, b.first),
    nodes: kept,
  }
}

function takeLowest(heap: Layer[]): Layer {
  const lowest = heap[0] as Layer
  replaceLowest(heap, heap.pop() as Layer)
  return lowest
}

/** Puts a layer in the place of the lowest and sinks it to where neither child is lower. */
function replaceLowest(heap: Layer[], layer: Layer): void {
  let place = 0
  for (;;) {
    let child = 2 * place + 1
    if (child >= heap.length) break
    const right = heap[child + 1]
    if (right && lowestRatingFirst(right, heap[child] as Layer) < 0) child++
    const lower = heap[child] as Layer
    if (lowestRatingFirst(layer, lower) < 0) break
    heap[place] = lower
    place = child
  }
  heap[place] = layer
}

function lowestRatingFirst(a: Layer, b: Layer): number {
  return a.popularity * a.size - b.popularity * b.size || a.first - b.first
}

function mostSharedFirst(a: Layer, b: Layer): number {
  return b.popularity - a.popularity || b.size - a.size || a.first - b.first
}

function pathOf(paths: readonly PathInfo[], node: number): StorePath {
  return (paths[node] as PathInfo).path
}
