import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  dominatorTree,
  type Graph,
  none,
  successors as successorsIn,
  withNode,
} from '../../service/domain/dominators.ts'

/** The graph in which node n has edges to `successors[n]`. */
function graphOf(successors: readonly (readonly number[])[]): Graph {
  const offsets = new Uint32Array(successors.length + 1)
  for (const [node, nodes] of successors.entries()) {
    offsets[node + 1] = (offsets[node] as number) + nodes.length
  }
  return { size: successors.length, offsets, targets: Uint32Array.from(successors.flat()) }
}

/** What the root reaches when no way may pass `removed`. */
function reachable(successors: readonly (readonly number[])[], root: number, removed = none) {
  const reached = new Set(root === removed ? [] : [root])
  for (const node of reached) {
    for (const next of successors[node] ?? []) if (next !== removed) reached.add(next)
  }
  return reached
}

/** The definition: d dominates n iff n cannot be reached without d. */
function naiveDominators(successors: readonly (readonly number[])[], root: number, node: number) {
  return successors.keys().filter((d) => !reachable(successors, root, d).has(node))
}

function dominatorsIn(parent: Int32Array, node: number): number[] {
  const dominators = []
  for (let d = node; d !== none; d = parent[d] as number) dominators.push(d)
  return dominators
}

const anyGraph = fc.integer({ min: 1, max: 14 }).chain((size) =>
  fc.record({
    root: fc.nat(size - 1),
    successors: fc.array(fc.array(fc.nat(size - 1), { maxLength: 4 }), {
      minLength: size,
      maxLength: size,
    }),
  }),
)

describe('a graph', () => {
  test('with a node more has that node and its edges besides its own', () => {
    fc.assert(
      fc.property(anyGraph, fc.array(fc.nat(10)), ({ successors }, nodes) => {
        const graph = withNode(graphOf(successors), nodes)
        const edges = Array.from({ length: graph.size }, (_, node) => [
          ...successorsIn(graph, node),
        ])
        expect(edges).toEqual([...successors, nodes])
      }),
    )
  })
})

describe('a dominator tree', () => {
  test('is the one drawn in the file', () => {
    const { parent } = dominatorTree(graphOf([[1, 2], [3], [3], [4], [2]]), 0)
    expect([...parent]).toEqual([none, 0, 0, 0, 3])
  })

  test('is the one of the paper', () => {
    const names = 'RABCDEFGHIJKL'
    const edges = 'RA RB RC AD BA BD BE CF CG DL EH FI GI GJ HE HK IK JI KI KR LH'.split(' ')
    const successors = [...names].map((name) =>
      edges.filter(([from]) => from === name).map((edge) => names.indexOf(edge.charAt(1))),
    )
    const { parent } = dominatorTree(graphOf(successors), 0)
    const immediate = Object.fromEntries(
      [...names].slice(1).map((name, index) => [name, names[parent[index + 1] as number]]),
    )
    expect(immediate).toEqual({
      ...{ A: 'R', B: 'R', C: 'R', D: 'R', E: 'R', F: 'C' },
      ...{ G: 'C', H: 'R', I: 'R', J: 'G', K: 'R', L: 'D' },
    })
  })

  test('says of every node what the definition says, with cycles and unreachable nodes', () => {
    fc.assert(
      fc.property(anyGraph, ({ successors, root }) => {
        const { parent } = dominatorTree(graphOf(successors), root)
        const reached = reachable(successors, root)
        for (const node of successors.keys()) {
          if (reached.has(node)) {
            const dominators = new Set(naiveDominators(successors, root, node))
            expect(new Set(dominatorsIn(parent, node))).toEqual(dominators)
          } else {
            expect(parent[node]).toBe(none)
          }
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('lists what the root reaches, every node after its dominators', () => {
    fc.assert(
      fc.property(anyGraph, ({ successors, root }) => {
        const { parent, order } = dominatorTree(graphOf(successors), root)
        expect(order[0]).toBe(root)
        expect([...order].sort()).toEqual([...reachable(successors, root)].sort())
        for (const [index, node] of [...order].entries()) {
          expect(order.indexOf(parent[node] as number)).toBeLessThan(index)
        }
      }),
    )
  })

  test('of a chain of 100,000 nodes does not overflow the stack', () => {
    const size = 100_000
    // An edge back from every node to the one before, so that path compression sees the depth too.
    const chain = Array.from({ length: size }, (_, node) =>
      [node - 1, node + 1].filter((next) => next >= 0 && next < size),
    )
    const { parent } = dominatorTree(graphOf(chain), 0)
    expect(parent.every((dominator, node) => dominator === node - 1)).toBe(true)
  })
})
