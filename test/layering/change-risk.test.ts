import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Closure } from '../../service/closure/closure.ts'
import { graphOf } from '../../service/closure/closure-graph.ts'
import { ChangeRisk, unionOf } from '../../service/layering/change-risk.ts'
import { anyAcyclicClosure, closureOf, storePath } from '../support/closures.ts'

/** Finds the dependencies of a path by following all references. */
function reachable(closure: Closure, start: string): Set<string> {
  const reached = new Set([start])
  for (const path of reached) {
    for (const next of closure.find((info) => info.path === path)?.references ?? []) {
      reached.add(next)
    }
  }
  return reached
}

test('risk is the probability that any dependency changes; shared dependencies count once', () => {
  const closure = closureOf({
    app: [1, 'lib'],
    lib: [1, 'libc'],
    libc: [1],
    tool: [1, 'libc'],
  })
  const graph = graphOf(closure)
  const risk = new ChangeRisk(graph, Float64Array.of(0.8, 0.1, 0.01, 0.5))
  const dependenciesOf = (name: string) => {
    return risk.dependenciesOf(graph.paths.findIndex(({ path }) => path === storePath(name)))
  }
  const [app, tool] = [dependenciesOf('app'), dependenciesOf('tool')]
  expect(risk.of(dependenciesOf('libc'))).toBeCloseTo(0.01)
  expect(risk.of(app)).toBeCloseTo(1 - 0.2 * 0.9 * 0.99)
  expect(risk.ofUnion(dependenciesOf('lib'), tool)).toBeCloseTo(1 - 0.9 * 0.5 * 0.99)
  expect(risk.of(unionOf([app, tool]))).toBeCloseTo(1 - 0.2 * 0.9 * 0.5 * 0.99)
})

test('risk equals the probability computed from all reachable paths', () => {
  fc.assert(
    fc.property(
      anyAcyclicClosure,
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
          expect(risk.of(risk.dependenciesOf(node))).toBeCloseTo(1 - unchanged, 9)
        }
      },
    ),
  )
})

test('risk grows along a chain of more paths than a set has bits', () => {
  const size = 5000
  const closure = Array.from({ length: size }, (_, place) => ({
    path: storePath(`p${String(place).padStart(4, '0')}`),
    narSize: 1,
    references: place === 0 ? [] : [storePath(`p${String(place - 1).padStart(4, '0')}`)],
  }))
  const risk = new ChangeRisk(graphOf(closure), new Float64Array(size).fill(0.001))
  const risks = Array.from({ length: size }, (_, node) => risk.of(risk.dependenciesOf(node)))
  expect(risks).toEqual(risks.toSorted((a, b) => a - b))
  expect(risks[size - 1]).toBeGreaterThan(0.5)
})
