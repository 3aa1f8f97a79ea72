/**
 * How likely a layer is to change with a release. A store path changes when it is built anew, and that it
 * is when anything below it changes: its name holds the hash of all that it was built with.
 *
 *     app ──> lib ──> libc         below app: app, lib, libc        below either of app and tool:
 *     tool ─────────────^          below tool: tool, libc           app, tool, lib, libc
 *
 * If each path p changes by itself with the chance c(p), a layer stays as it is with the chance
 * Π (1 − c(q)) over all q below any of its paths. What two layers have below them in common counts once,
 * so sets are needed and not only numbers: one bit a path.
 */
import type { ClosureGraph } from '../closure/closure-graph.ts'

/**
 * Bits of a set: exact for closures with as many paths, and few have a tenth of them. In larger ones
 * several paths share a bit and count as one; what has hundreds of paths below it changes anyway.
 */
const mostBits = 1024

/** What is below a path or a layer, itself included. */
export type Below = Uint32Array

export class ChangeRisk {
  readonly #words: number
  readonly #below: Uint32Array
  /** By byte of a set and value of that byte: the sum of −ln(1 − c) over its bits. */
  readonly #exponents: Float64Array

  /** @param chances by node: how likely a path is to change by itself in one release, below 1 */
  constructor(graph: ClosureGraph, chances: Float64Array) {
    const size = graph.paths.length
    const bits = Math.min(size, mostBits)
    this.#words = Math.ceil(bits / 32)
    this.#below = new Uint32Array(size * this.#words)
    const exponents = new Float64Array(this.#words * 32)
    for (const [place, node] of graph.order.entries()) {
      // Those that share a bit are neighbours in this order, and with that often in the reference graph.
      const bit = Math.floor((place * bits) / size)
      exponents[bit] = Math.max(exponents[bit] ?? 0, -Math.log1p(-(chances[node] ?? 0)))
      this.#collect(graph, node, bit)
    }
    this.#exponents = sumsByByte(exponents)
  }

  below(node: number): Below {
    return this.#below.subarray(node * this.#words, (node + 1) * this.#words)
  }

  /** The chance that a release changes anything in a set. */
  of(below: Below): number {
    return this.ofEither(below, below)
  }

  /** The chance that a release changes anything in one set or the other. */
  ofEither(one: Below, other: Below): number {
    const exponents = this.#exponents
    let sum = 0
    for (let word = 0; word < one.length; word++) {
      const set = (one[word] as number) | (other[word] as number)
      if (set === 0) continue
      const base = word * 1024
      sum +=
        (exponents[base + (set & 255)] as number) +
        (exponents[base + 256 + ((set >>> 8) & 255)] as number) +
        (exponents[base + 512 + ((set >>> 16) & 255)] as number) +
        (exponents[base + 768 + (set >>> 24)] as number)
    }
    return -Math.expm1(-sum)
  }

  #collect({ offsets, targets }: ClosureGraph, node: number, bit: number): void {
    const words = this.#words
    const below = this.#below
    const own = node * words
    const word = own + (bit >>> 5)
    below[word] = (below[word] as number) | (1 << (bit & 31))
    const end = offsets[node + 1] as number
    for (let edge = offsets[node] as number; edge < end; edge++) {
      const other = (targets[edge] as number) * words
      for (let index = 0; index < words; index++) {
        below[own + index] = (below[own + index] as number) | (below[other + index] as number)
      }
    }
  }
}

export function unionOf(sets: readonly Below[]): Below {
  const all = new Uint32Array(sets[0]?.length ?? 0)
  for (const set of sets) {
    for (let word = 0; word < all.length; word++) {
      all[word] = (all[word] as number) | (set[word] as number)
    }
  }
  return all
}

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
