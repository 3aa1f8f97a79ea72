/**
 * The risk of a layer: the probability that a release changes it. A store path changes whenever one of its
 * dependencies changes, because its name holds the hash of everything that it was built from.
 *
 *     app ──> lib ──> libc         dependencies of app:  app, lib, libc      of app and tool together:
 *     tool ─────────────^          dependencies of tool: tool, libc          app, tool, lib, libc
 *
 * If a release changes path p itself with probability c(p), then the layer stays the same with probability
 * Π (1 − c(q)) over all q that any of its paths depends on. A dependency that several paths share counts once.
 * Therefore the planner needs sets of dependencies, not only numbers. A set has one bit for each path.
 */
import type { ClosureGraph } from '../closure/closure-graph.ts'

/**
 * Most bits in a set. Sets are exact for closures of up to 1024 paths; few closures have a tenth of that. In
 * a larger closure several paths share a bit and count as one path. That hardly matters, because a path with
 * hundreds of dependencies changes in nearly every release.
 */
const maxBits = 1024

/** The paths that a path or layer refers to, directly or indirectly, and the path or layer itself. */
export type DependencySet = Uint32Array

export class ChangeRisk {
  /** 32-bit words in a set. */
  readonly #words: number
  /** The sets of all nodes, one after the other. */
  readonly #sets: Uint32Array
  /** Look-up table: for each byte of a set and each value of that byte, the sum of −ln(1 − c) over its bits. */
  readonly #exponents: Float64Array

  /** @param changeChances for each node, the probability that a release changes the path itself; below 1 */
  constructor(graph: ClosureGraph, changeChances: Float64Array) {
    const size = graph.paths.length
    const bits = Math.min(size, maxBits)
    this.#words = Math.ceil(bits / 32)
    this.#sets = new Uint32Array(size * this.#words)
    const exponents = new Float64Array(this.#words * 32)
    for (const [place, node] of graph.order.entries()) {
      // Paths that share a bit are neighbours in this order, and so often in the graph, too.
      const bit = Math.floor((place * bits) / size)
      exponents[bit] = Math.max(exponents[bit] ?? 0, -Math.log1p(-(changeChances[node] ?? 0)))
      this.#fillSet(graph, node, bit)
    }
    this.#exponents = sumsByByte(exponents)
  }

  dependenciesOf(node: number): DependencySet {
    return this.#sets.subarray(node * this.#words, (node + 1) * this.#words)
  }

  /** Returns the probability that a release changes any path in the set. */
  of(set: DependencySet): number {
    return this.ofUnion(set, set)
  }

  /** Returns the probability that a release changes any path in one of the two sets. */
  ofUnion(one: DependencySet, other: DependencySet): number {
    const exponents = this.#exponents
    let sum = 0
    for (let word = 0; word < one.length; word++) {
      const bits = (one[word] as number) | (other[word] as number)
      if (bits === 0) continue
      const base = word * 1024
      sum +=
        (exponents[base + (bits & 255)] as number) +
        (exponents[base + 256 + ((bits >>> 8) & 255)] as number) +
        (exponents[base + 512 + ((bits >>> 16) & 255)] as number) +
        (exponents[base + 768 + (bits >>> 24)] as number)
    }
    return -Math.expm1(-sum)
  }

  /** Sets the node's own bit, and all bits of the nodes that it refers to. Their sets are already filled. */
  #fillSet({ offsets, targets }: ClosureGraph, node: number, bit: number): void {
    const words = this.#words
    const sets = this.#sets
    const own = node * words
    const word = own + (bit >>> 5)
    sets[word] = (sets[word] as number) | (1 << (bit & 31))
    const end = offsets[node + 1] as number
    for (let edge = offsets[node] as number; edge < end; edge++) {
      const other = (targets[edge] as number) * words
      for (let index = 0; index < words; index++) {
        sets[own + index] = (sets[own + index] as number) | (sets[other + index] as number)
      }
    }
  }
}

export function unionOf(sets: readonly DependencySet[]): DependencySet {
  const union = new Uint32Array(sets[0]?.length ?? 0)
  for (const set of sets) {
    for (let word = 0; word < union.length; word++) {
      union[word] = (union[word] as number) | (set[word] as number)
    }
  }
  return union
}

/** Returns the look-up table. The sum for a value is the sum without its lowest bit, plus the exponent of that bit. */
function sumsByByte(exponents: Float64Array): Float64Array {
  const sums = new Float64Array((exponents.length / 8) * 256)
  for (let byte = 0; byte < exponents.length / 8; byte++) {
    for (let value = 1; value < 256; value++) {
      const lowest = 31 - Math.clz32(value & -value)
      const rest = sums[byte * 256 + (value & (value - 1))] as number
      sums[byte * 256 + value] = rest + (exponents[byte * 8 + lowest] as number)
    }
  }
  return sums
}
