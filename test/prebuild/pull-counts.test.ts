import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PullCounts, pullHalfLife } from '../../service/prebuild/pull-counts.ts'

const day = 24 * 60 * 60 * 1000
const now = Date.UTC(2026, 2, 14, 15, 9, 26)

/** Counts pulls by their age in days: `{ git: [0, 1.5] }` is a pull now and one a day and a half ago. */
function counted(pulls: Record<string, number[]>, at = now): PullCounts {
  const counts = new PullCounts(at)
  for (const [name, daysAgo] of Object.entries(pulls)) {
    for (const days of daysAgo) counts.add(name, now - days * day)
  }
  return counts
}

const pulls = fc.dictionary(
  fc.constantFrom('git', 'htop', 'jq', 'shell/git', 'arm64/git', 'constructor'),
  fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { minLength: 1, maxLength: 20 }),
)

describe('the weight of an image', () => {
  test('the weight of an image is the number of its pulls at the time of the pulls', () => {
    const counts = counted({ git: [0, 0, 0] })
    expect(counts.weight('git', now)).toBe(3)
    expect(counts.weight('htop', now)).toBe(0)
  })

  test('each week halves the weight of an image exactly', () => {
    fc.assert(
      fc.property(pulls, fc.nat(100), fc.nat(pullHalfLife), (all, weeks, offset) => {
        const counts = counted(all)
        for (const name of Object.keys(all)) {
          const weight = counts.weight(name, now + offset)
          expect(counts.weight(name, now + offset + weeks * pullHalfLife)).toBe(weight / 2 ** weeks)
        }
      }),
    )
  })

  test('the weight of an image is the sum of 2^(-age in weeks) over its pulls', () => {
    fc.assert(
      fc.property(pulls, (all) => {
        for (const [name, days] of Object.entries(all)) {
          const expected = days.reduce((total, ago) => total + 2 ** (-ago / 7), 0)
          expect(counted(all).weight(name, now) / expected).toBeCloseTo(1, 9)
        }
      }),
    )
  })

  test('one new pull weighs more than three pulls of four weeks ago', () => {
    const counts = counted({ old: [28, 28, 28], fresh: [0] })
    expect(counts.mostPulled(2)).toEqual(['fresh', 'old'])
  })

  test('weights stay finite over decades', () => {
    let counts = counted({ git: [0] })
    const later = now + 30 * 365 * day
    counts = PullCounts.merge([counts.snapshot(later)], later)
    counts.add('jq', later)
    expect(counts.mostPulled(2)).toEqual(['jq', 'git'])
    expect(counts.weight('jq', later)).toBe(1)
  })
})

describe('the most pulled images', () => {
  test('the most pulled images are ordered by weight, then by name, up to the limit', () => {
    const counts = counted({ b: [0], a: [0], c: [0, 0], d: [1] })
    expect(counts.mostPulled(3)).toEqual(['c', 'a', 'b'])
    expect(counts.mostPulled(0)).toEqual([])
    expect(counts.mostPulled(99)).toEqual(['c', 'a', 'b', 'd'])
  })

  test('the most pulled images do not depend on the week in which counting began', () => {
    fc.assert(
      fc.property(pulls, fc.nat(400), (all, earlier) => {
        const limit = 10
        expect(counted(all, now - earlier * day).mostPulled(limit)).toEqual(
          counted(all).mostPulled(limit),
        )
      }),
    )
  })
})

describe('counts of several instances', () => {
  test('the weights of several instances are added up', () => {
    const merged = PullCounts.merge(
      [counted({ git: [0, 7] }).snapshot(now), counted({ git: [0], jq: [7] }).snapshot(now)],
      now,
    )
    expect(merged.weight('git', now)).toBe(2.5)
    expect(merged.weight('jq', now)).toBe(0.5)
  })

  test('the sum of several instances does not depend on their order', () => {
    const shuffled = fc.array(pulls, { maxLength: 6 }).chain((all) => {
      const snapshots = all.map((one, index) => counted(one).snapshot(now + index * pullHalfLife))
      return fc.tuple(
        fc.constant(snapshots),
        fc.shuffledSubarray(snapshots, { minLength: all.length }),
      )
    })
    const later = now + 10 * pullHalfLife
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        const [merged, again] = [PullCounts.merge(one, later), PullCounts.merge(other, later)]
        expect(again.mostPulled(10)).toEqual(merged.mostPulled(10))
        const { weights } = merged.snapshot(later)
        expect(again.snapshot(later).weights).toEqual(weights)
      }),
    )
  })

  test('an instance whose clock ran ahead does not outweigh the others', () => {
    const ahead = new PullCounts(now)
    ahead.add('wrong', now + 3650 * day)
    const merged = PullCounts.merge(
      [ahead.snapshot(now + 3650 * day), counted({ right: [0, 0, 0] }).snapshot(now)],
      now,
    )
    expect(merged.mostPulled(1)).toEqual(['right'])
  })
})

test('storing and reading counts a thousand times does not change them', () => {
  fc.assert(
    fc.property(pulls, (all) => {
      const counts = counted(all)
      let copy = counts
      for (let round = 1; round <= 1000; round++) {
        const at = now + (round * pullHalfLife) / 50
        copy = PullCounts.merge([JSON.parse(JSON.stringify(copy.snapshot(at)))], at)
      }
      for (const name of Object.keys(all)) {
        expect(copy.weight(name, now)).toBe(counts.weight(name, now))
      }
    }),
    { numRuns: 10 },
  )
})

describe('a bound on the images counted', () => {
  test('beyond the bound, the images with the least weight are dropped', () => {
    const counts = new PullCounts(now, 3)
    for (const name of ['a', 'a', 'b', 'c', 'c', 'd']) counts.add(name, now)
    expect(counts.mostPulled(9)).toEqual(['a', 'c', 'd'])
  })

  test('neither adding nor merging exceeds the bound', () => {
    const counts = new PullCounts(now, 100)
    for (let index = 0; index < 1000; index++) {
      counts.add(`name${index}`, now)
      expect(counts.size).toBeLessThanOrEqual(100)
    }
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`n${index}`, index]))
    const merged = PullCounts.merge([{ week: 2900, weights: many }], now, 100)
    expect(merged.size).toBeLessThanOrEqual(100)
    expect(merged.mostPulled(1)).toEqual(['n149'])
  })

  test('a new image has time to become popular although the bound is reached', () => {
    const counts = new PullCounts(now, 80)
    for (let index = 0; index < 80; index++) counts.add(`old${index}`, now)
    for (let index = 0; index < 80; index++) counts.add(`old${index}`, now)
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 5; index++) counts.add(`new${index}`, now)
    }
    expect(counts.mostPulled(5)).toEqual(['new0', 'new1', 'new2', 'new3', 'new4'])
  })
})
