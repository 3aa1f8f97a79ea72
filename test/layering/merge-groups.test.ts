import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { graphOf } from '../../service/closure/closure-graph.ts'
import { ChangeRisk } from '../../service/layering/change-risk.ts'
import { type MergeOptions, mergeGroups } from '../../service/layering/merge-groups.ts'
import type { PathGroup } from '../../service/layering/path-group.ts'
import { storePath } from '../support/closures.ts'

/** Returns groups of one path each, which share no dependency. */
function groupsOf(paths: readonly { size: number; sharedBytes: number; chance: number }[]) {
  const graph = graphOf(
    paths.map(({ size }, place) => ({
      path: storePath(`p${String(place).padStart(5, '0')}`),
      narSize: size,
      references: [],
    })),
  )
  const changeRisk = new ChangeRisk(
    graph,
    Float64Array.from(paths, ({ chance }) => chance),
  )
  const groups = paths.map(({ size, sharedBytes }, node): PathGroup => {
    const dependencies = changeRisk.dependenciesOf(node)
    const risk = changeRisk.of(dependencies)
    return { nodes: [node], size, dependencies, risk, sharedBytes, imageCount: 2 }
  })
  return { changeRisk, groups }
}

/** Merges the cheapest of all pairs, again and again. */
function naive(
  groups: readonly PathGroup[],
  { layerCost, maxGroups, sameImages }: Omit<MergeOptions, 'changeRisk'>,
): number[][] {
  let all = groups.map(({ nodes, size, risk, sharedBytes }) => ({ nodes, size, risk, sharedBytes }))
  for (;;) {
    let best: { loss: number; a: number; b: number } | undefined
    for (const [a, one] of all.entries()) {
      for (const [b, other] of all.entries()) {
        if (b <= a) continue
        const together = 1 - (1 - one.risk) * (1 - other.risk)
        const lost = one.size * (together - one.risk) + other.size * (together - other.risk)
        const loss = Math.round(lost + (sameImages ? 0 : one.sharedBytes + other.sharedBytes))
        if (best === undefined || loss < best.loss) best = { loss, a, b }
      }
    }
    if (best === undefined || (best.loss >= layerCost && all.length <= maxGroups)) break
    const [one, other] = [all[best.a], all[best.b]] as [(typeof all)[0], (typeof all)[0]]
    const merged = {
      nodes: [...one.nodes, ...other.nodes],
      size: one.size + other.size,
      risk: 1 - (1 - one.risk) * (1 - other.risk),
      sharedBytes: sameImages ? one.sharedBytes + other.sharedBytes : 0,
    }
    all = all.flatMap((group) => (group === one ? [] : group === other ? [merged] : [group]))
  }
  return all.map(({ nodes }) => [...nodes].sort((a, b) => a - b))
}

const anyPaths = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 1e6 }),
    sharedBytes: fc.nat(100_000),
    // Far apart, so that floating-point errors decide nothing.
    chance: fc.constantFrom(0.01, 0.02, 0.1, 0.5, 0.8),
  }),
  { maxLength: 25 },
)

test('mergeGroups makes the same merges as a search of all pairs at each step', () => {
  fc.assert(
    fc.property(
      anyPaths,
      fc.integer({ min: 1, max: 30 }),
      fc.nat(100_000),
      fc.boolean(),
      (paths, maxGroups, layerCost, sameImages) => {
        const { groups, changeRisk } = groupsOf(paths)
        const options = { changeRisk, layerCost, maxGroups, sameImages }
        const merged = mergeGroups(groups, options).map(({ nodes }) =>
          nodes.toSorted((a, b) => a - b),
        )
        expect(merged).toEqual(naive(groups, options))
      },
    ),
  )
})

test('a merged group has the size and the risk of all its paths', () => {
  fc.assert(
    fc.property(anyPaths, fc.integer({ min: 1, max: 30 }), (paths, maxGroups) => {
      const { groups, changeRisk } = groupsOf(paths)
      const options = { changeRisk, layerCost: 5000, maxGroups, sameImages: false }
      for (const { nodes, size, risk } of mergeGroups(groups, options)) {
        expect(size).toBe(nodes.reduce((sum, node) => sum + (paths[node]?.size ?? 0), 0))
        const unchanged = nodes.reduce((product, node) => {
          return product * (1 - (paths[node]?.chance ?? 0))
        }, 1)
        expect(risk).toBeCloseTo(1 - unchanged)
      }
    }),
  )
})

describe('3,000 groups', () => {
  const { groups, changeRisk } = groupsOf(
    Array.from({ length: 3000 }, (_, place) => {
      return {
        size: 1 + ((place * 7919) % 100_000),
        sharedBytes: 0,
        chance: 0.01 + (place % 7) / 10,
      }
    }),
  )

  test('3,000 groups are merged to the number that is allowed, and every path is kept', () => {
    const options = { changeRisk, layerCost: 0, maxGroups: 90, sameImages: false }
    const merged = mergeGroups(groups, options)
    expect(merged.length).toBe(90)
    expect(new Set(merged.flatMap(({ nodes }) => nodes)).size).toBe(3000)
  })

  test.each([
    ['stay apart if a layer costs nothing', 0, 3000],
    ['become one if a layer costs more than any merge loses', Infinity, 1],
  ])('3,000 groups without a limit %s', (_, layerCost, count) => {
    const options = { changeRisk, layerCost, maxGroups: Infinity, sameImages: true }
    expect(mergeGroups(groups, options).length).toBe(count)
  })
})
