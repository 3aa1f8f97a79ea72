import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { graphOf } from '../../service/closure/closure-graph.ts'
import { ChangeRisk } from '../../service/layering/change-risk.ts'
import { type Group, type Merging, mergeGroups } from '../../service/layering/merge-groups.ts'
import { storePath } from '../support/closures.ts'

/** Groups of one path each: of the given sizes and stakes, none with anything in common below it. */
function groupsOf(paths: readonly { size: number; stake: number; chance: number }[]) {
  const graph = graphOf(
    paths.map(({ size }, place) => ({
      path: storePath(`p${String(place).padStart(5, '0')}`),
      narSize: size,
      references: [],
    })),
  )
  const risk = new ChangeRisk(
    graph,
    Float64Array.from(paths, ({ chance }) => chance),
  )
  const groups = paths.map(({ size, stake }, node): Group => {
    const below = risk.below(node)
    return { nodes: [node], size, below, risk: risk.of(below), stake, images: 2 }
  })
  return { risk, groups }
}

/** The definition: always the cheapest of all pairs. */
function naive(groups: readonly Group[], { price, most, alike }: Merging): number[][] {
  let all = groups.map(({ nodes, size, risk, stake }) => ({ nodes, size, risk, stake }))
  for (;;) {
    let best: { loss: number; a: number; b: number } | undefined
    for (const [a, one] of all.entries()) {
      for (const [b, other] of all.entries()) {
        if (b <= a) continue
        const either = 1 - (1 - one.risk) * (1 - other.risk)
        const lost = one.size * (either - one.risk) + other.size * (either - other.risk)
        const loss = Math.round(lost + (alike ? 0 : one.stake + other.stake))
        if (best === undefined || loss < best.loss) best = { loss, a, b }
      }
    }
    if (best === undefined || (best.loss >= price && all.length <= most)) break
    const [one, other] = [all[best.a], all[best.b]] as [(typeof all)[0], (typeof all)[0]]
    const merged = {
      nodes: [...one.nodes, ...other.nodes],
      size: one.size + other.size,
      risk: 1 - (1 - one.risk) * (1 - other.risk),
      stake: alike ? one.stake + other.stake : 0,
    }
    all = all.flatMap((group) => (group === one ? [] : group === other ? [merged] : [group]))
  }
  return all.map(({ nodes }) => [...nodes].sort((a, b) => a - b))
}

const anyPaths = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 1e6 }),
    stake: fc.nat(100_000),
    // Far apart, so that rounding errors decide nothing.
    chance: fc.constantFrom(0.01, 0.02, 0.1, 0.5, 0.8),
  }),
  { maxLength: 25 },
)

describe('merging groups', () => {
  test('makes the cheapest merge of all, again and again', () => {
    fc.assert(
      fc.property(
        anyPaths,
        fc.integer({ min: 1, max: 30 }),
        fc.nat(100_000),
        fc.boolean(),
        (paths, most, price, alike) => {
          const { groups, risk } = groupsOf(paths)
          const merging = { risk, price, most, alike }
          const found = mergeGroups(groups, merging).map(({ nodes }) =>
            nodes.toSorted((a, b) => a - b),
          )
          expect(found).toEqual(naive(groups, merging))
        },
      ),
    )
  })

  test('keeps the sums right', () => {
    fc.assert(
      fc.property(anyPaths, fc.integer({ min: 1, max: 30 }), (paths, most) => {
        const { groups, risk } = groupsOf(paths)
        for (const group of mergeGroups(groups, { risk, price: 5000, most, alike: false })) {
          const size = group.nodes.reduce((sum, node) => sum + (paths[node]?.size ?? 0), 0)
          expect(group.size).toBe(size)
          expect(group.risk).toBeCloseTo(risk.of(group.below))
        }
      }),
    )
  })

  test('of thousands ends with as many as allowed, or with none that are worth merging', () => {
    const paths = Array.from({ length: 3000 }, (_, place) => {
      return { size: 1 + ((place * 7919) % 100_000), stake: 0, chance: 0.01 + (place % 7) / 10 }
    })
    const { groups, risk } = groupsOf(paths)
    const merged = mergeGroups(groups, { risk, price: 0, most: 90, alike: false })
    expect(merged.length).toBe(90)
    expect(new Set(merged.flatMap(({ nodes }) => nodes)).size).toBe(3000)
    expect(mergeGroups(groups, { risk, price: 0, most: Infinity, alike: true }).length).toBe(3000)
    expect(mergeGroups(groups, { risk, price: Infinity, most: Infinity, alike: true }).length).toBe(
      1,
    )
  })
})
