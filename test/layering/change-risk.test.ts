import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Closure } from '../../service/closure/closure.ts'
import { graphOf } from '../../service/closure/closure-graph.ts'
import { ChangeRisk, unionOf } from '../../service/layering/change-risk.ts'
import { closureOf, storePath } from '../support/closures.ts'

/** Each refers only to those before it, so that there is no cycle. */
const anyDag: fc.Arbitrary<Closure> = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .map((references) =>
    references.map((numbers, place) => ({
      path: storePath(`p${place}`),
      narSize: 1,
      references: place === 0 ? [] : numbers.map((number) => storePath(`p${number % place}`)),
    })),
  )

/** The definition: everything that can be reached. */
function reachable(closure: Closure, start: string): Set<string> {
  const reached = new Set([start])
  for (const path of reached) {
    for (const next of closure.find((info) => info.path === path)?.references ?? []) {
      reached.add(next)
    }
  }
  return reached
}

describe('the chance of a change', () => {
  test('is that of anything below, and what two have in common counts once', () => {
    const closure = closureOf({
      app: [1, 'lib'],
      lib: [1, 'libc'],
      libc: [1],
      tool: [1, 'libc'],
    })
    const graph = graphOf(closure)
    const risk = new ChangeRisk(graph, Float64Array.of(0.8, 0.1, 0.01, 0.5))
    const below = (name: string) => {
      return risk.below(graph.paths.findIndex(({ path }) => path === storePath(name)))
    }
    expect(risk.of(below('libc'))).toBeCloseTo(0.01)
    expect(risk.of(below('app'))).toBeCloseTo(1 - 0.2 * 0.9 * 0.99)
    expect(risk.ofEither(below('lib'), below('tool'))).toBeCloseTo(1 - 0.9 * 0.5 * 0.99)
    expect(risk.of(unionOf([below('app'), below('tool')]))).toBeCloseTo(1 - 0.2 * 0.9 * 0.5 * 0.99)
  })

  test('is what reaching every path says', () => {
    fc.assert(
      fc.property(
        anyDag,
        fc.infiniteStream(fc.double({ min: 0, max: 0.9, noNaN: true })),
        (closure, stream) => {
          const graph = graphOf(closure)
          const chances = Float64Array.from(graph.paths, () => stream.next().value as number)
          const risk = new ChangeRisk(graph, chances)
          const nodes = new Map(graph.paths.map(({ path }, node) => [path, node]))
          for (const [node, { path }] of graph.paths.entries()) {
            const unchanged = [...reachable(closure, path)].reduce((product, other) => {
              return product * (1 - (chances[nodes.get(other) as number] as number))
            }, 1)
            expect(risk.of(risk.below(node))).toBeCloseTo(1 - unchanged, 9)
          }
        },
      ),
    )
  })

  test('grows with what is below also where there are more paths than bits', () => {
    const size = 5000
    const closure = Array.from({ length: size }, (_, place) => ({
      path: storePath(`p${String(place).padStart(4, '0')}`),
      narSize: 1,
      references: place === 0 ? [] : [storePath(`p${String(place - 1).padStart(4, '0')}`)],
    }))
    const risk = new ChangeRisk(graphOf(closure), new Float64Array(size).fill(0.001))
    const chances = Array.from({ length: size }, (_, node) => risk.of(risk.below(node)))
    expect(chances).toEqual(chances.toSorted((a, b) => a - b))
    expect(chances[size - 1]).toBeGreaterThan(0.5)
  })
})

describe('a graph', () => {
  test('lists everything after what it refers to', () => {
    fc.assert(
      fc.property(anyDag, (closure) => {
        const { paths, offsets, targets, order, referrers } = graphOf(closure)
        expect(order.toSorted()).toEqual(Uint32Array.from(paths.keys()))
        const place = new Map([...order].map((node, index) => [node, index]))
        for (const node of paths.keys()) {
          const references = targets.subarray(offsets[node], offsets[node + 1])
          const names = new Set(paths[node]?.references)
          expect([...references].map((target) => paths[target]?.path).sort()).toEqual(
            [...names].sort(),
          )
          for (const target of references) {
            expect(place.get(target)).toBeLessThan(place.get(node) as number)
          }
        }
        expect(referrers.reduce((sum, count) => sum + count, 0)).toBe(targets.length)
      }),
    )
  })

  test('numbers paths by name, so that a change of path alone changes no number', () => {
    const at = (hash: string, name: string) => ({
      path: `/nix/store/${hash.padEnd(32, '0')}-${name}`,
      narSize: 1,
      references: [],
    })
    const names = (closure: Closure) => graphOf(closure).paths.map(({ path }) => path.slice(44))
    expect(names([at('a', 'zlib'), at('z', 'bash')])).toEqual(['bash', 'zlib'])
    expect(names([at('z', 'zlib'), at('a', 'bash')])).toEqual(['bash', 'zlib'])
  })
})
