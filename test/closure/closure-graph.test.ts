import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Closure, storePathName } from '../../service/closure/closure.ts'
import { graphOf } from '../../service/closure/closure-graph.ts'
import { anyAcyclicClosure, anyClosure } from '../support/closures.ts'

test('the graph of a closure has every path once and every reference inside the closure once', () => {
  fc.assert(
    fc.property(anyClosure, (closure) => {
      const { paths, offsets, targets, referrers } = graphOf([...closure, ...closure])
      expect(paths.map(({ path }) => path).sort()).toEqual(closure.map(({ path }) => path).sort())
      const isInside = new Set(closure.map(({ path }) => path))
      for (const [node, { path, references }] of paths.entries()) {
        const expected = new Set(references.filter((one) => one !== path && isInside.has(one)))
        const found = [...targets.subarray(offsets[node], offsets[node + 1])]
        expect(found).toEqual(found.toSorted((a, b) => a - b))
        expect(found.map((target) => paths[target]?.path).sort()).toEqual([...expected].sort())
      }
      const counts = paths.map((_, node) => targets.filter((target) => target === node).length)
      expect([...referrers]).toEqual(counts)
    }),
  )
})

test('the order of a graph has every path after its references', () => {
  fc.assert(
    fc.property(anyAcyclicClosure, (closure) => {
      const { paths, offsets, targets, order } = graphOf(closure)
      expect(order.toSorted()).toEqual(Uint32Array.from(paths.keys()))
      const place = new Map([...order].map((node, index) => [node, index]))
      for (const node of paths.keys()) {
        for (const target of targets.subarray(offsets[node], offsets[node + 1])) {
          expect(place.get(target)).toBeLessThan(place.get(node) as number)
        }
      }
    }),
  )
})

test('the order of a graph with cycles has every path once', () => {
  fc.assert(
    fc.property(anyClosure, (closure) => {
      const { paths, order } = graphOf(closure)
      expect(order.toSorted()).toEqual(Uint32Array.from(paths.keys()))
    }),
  )
})

test('paths are numbered by name, so that new hashes alone change no number', () => {
  const at = (hash: string, name: string) => ({
    path: `/nix/store/${hash.padEnd(32, '0')}-${name}`,
    narSize: 1,
    references: [],
  })
  const names = (closure: Closure) => graphOf(closure).paths.map(({ path }) => storePathName(path))
  expect(names([at('a', 'zlib'), at('z', 'bash')])).toEqual(['bash', 'zlib'])
  expect(names([at('z', 'zlib'), at('a', 'bash')])).toEqual(['bash', 'zlib'])
})
