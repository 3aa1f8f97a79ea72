import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Closure, type StorePath, storePathName } from '../../service/domain/closure.ts'
import { type Plan, type PlanOptions, planLayers } from '../../service/domain/layers.ts'

const MB = 1024 * 1024

/** A store path that sorts like its name. */
function storePath(name: string): StorePath {
  return `/nix/store/${name.replace(/[^a-z0-9]/g, '').padEnd(32, '0')}-${name}`
}

/** name → [size in MB, names of what it refers to] */
function closureOf(entries: Record<string, [size: number, ...references: string[]]>): Closure {
  return Object.entries(entries).map(([name, [size, ...references]]) => ({
    path: storePath(name),
    narSize: size * MB,
    references: references.map(storePath),
  }))
}

/** The plan with names for paths: `['glibc', 'bash readline']`. */
function planOf(closure: Closure, options: Partial<PlanOptions> = {}): string[] {
  return planLayers(closure, { budget: 100, ...options }).map((layer) =>
    layer.map(storePathName).join(' '),
  )
}

const example = closureOf({
  service: [2, 'lib', 'python'],
  lib: [1, 'tables', 'glibc'],
  tables: [1],
  python: [100, 'expat', 'glibc'],
  expat: [1, 'glibc'],
  glibc: [30, 'idn'],
  idn: [2],
})

describe('a plan', () => {
  test('is the one drawn in the file', () => {
    expect(planOf(example, { budget: 5 })).toEqual([
      'glibc',
      'idn',
      'python',
      'lib service tables',
      'expat',
    ])
    expect(planOf(example, { budget: 4 })).toEqual([
      'glibc',
      'idn',
      'python',
      'expat lib service tables',
    ])
  })

  test('of an empty closure has no layers', () => {
    expect(planLayers([], { budget: 1 })).toEqual([])
  })

  test('keeps together what only one package needs', () => {
    expect(planOf(closureOf({ app: [1, 'lib'], lib: [1, 'data'], data: [1] }))).toEqual([
      'app data lib',
    ])
  })

  test('parts packages that do not need each other, and what both need', () => {
    const closure = closureOf({ a: [2, 'both'], b: [1, 'both'], both: [1, 'data'], data: [1] })
    expect(planOf(closure)).toEqual(['both data', 'a', 'b'])
  })

  test('gives a big path a layer of its own', () => {
    expect(planOf(closureOf({ app: [1, 'model'], model: [4] }))).toEqual(['model', 'app'])
    expect(planOf(closureOf({ app: [1, 'model'], model: [3.9] }))).toEqual(['app model'])
  })

  test('gives a path that three others refer to a layer of its own', () => {
    const three = closureOf({ app: [1, 'x', 'y', 'c'], x: [1, 'c'], y: [1, 'c'], c: [1] })
    expect(planOf(three)).toEqual(['c', 'app x y'])
    const two = closureOf({ app: [1, 'x', 'y'], x: [1, 'c'], y: [1, 'c'], c: [1] })
    expect(planOf(two)).toEqual(['app c x y'])
  })

  test('has the layer of a big path in common with another image that uses its parts otherwise', () => {
    const hello = closureOf({ hello: [1, 'glibc'], glibc: [30, 'idn'], idn: [1] })
    const curl = closureOf({ curl: [1, 'glibc', 'idn'], glibc: [30, 'idn'], idn: [1] })
    expect(planOf(hello)).toContain('glibc')
    expect(planOf(curl)).toContain('glibc')
  })

  test('keeps what is popular or big apart and merges the rest when the budget is short', () => {
    const closure = closureOf({
      ...{ a: [1, 'libc'], b: [2, 'libc'], c: [3, 'libc'], model: [500] },
      libc: [30],
    })
    expect(planOf(closure, { budget: 3 })).toEqual(['libc', 'model', 'a b c'])
  })

  test('with a budget of 1 is one layer', () => {
    expect(planOf(example, { budget: 1 })).toEqual(['expat glibc idn lib python service tables'])
  })

  test('puts the most shared first: by popularity, then by size, then by path', () => {
    const closure = closureOf({
      d: [1],
      c: [1],
      b: [2],
      a: [1, 'shared'],
      z: [1, 'shared'],
      shared: [1],
    })
    expect(planOf(closure)).toEqual(['shared', 'b', 'a', 'c', 'd', 'z'])
  })

  test('refuses a budget that is no whole number of at least 1, and quotes it', () => {
    for (const budget of [0, -1, 1.5, Number.NaN]) {
      expect(() => planLayers(example, { budget })).toThrow(new RegExp(`not ${budget}$`))
    }
  })
})

describe('popularity data', () => {
  const closure = closureOf({ app: [1, 'zlib-1.3.1'], 'zlib-1.3.1': [1] })

  test('gives a popular package a layer of its own, whatever its version', () => {
    expect(planOf(closure)).toEqual(['app zlib-1.3.1'])
    for (const name of ['zlib-1.3.1', 'zlib']) {
      expect(planOf(closure, { popularity: new Map([[name, 100]]) })).toEqual(['zlib-1.3.1', 'app'])
    }
  })

  test('prefers the entry with the version', () => {
    const popularity = new Map([
      ['zlib', 100],
      ['zlib-1.3.1', 1],
    ])
    expect(planOf(closure, { popularity })).toEqual(['app zlib-1.3.1'])
  })

  test('takes the place of what the closure says', () => {
    const shared = closureOf({ app: [1, 'x', 'y', 'c'], x: [1, 'c'], y: [1, 'c'], c: [1] })
    expect(planOf(shared, { popularity: new Map([['c', 1]]) })).toEqual(['app c x y'])
  })

  test('decides what is merged', () => {
    const three = closureOf({ a: [1], b: [2], c: [3] })
    expect(planOf(three, { budget: 2 })).toEqual(['a b', 'c'])
    expect(planOf(three, { budget: 2, popularity: new Map([['a', 50]]) })).toEqual(['a', 'b c'])
  })

  test('of a merged layer is that of its least popular part', () => {
    const closure = closureOf({ a: [1], b: [1], c: [3.9] })
    const popularity = new Map([['a', 2]])
    expect(planOf(closure, { budget: 2, popularity })).toEqual(['c', 'a b'])
  })

  test('of zero does not make a path worthless', () => {
    const three = closureOf({ a: [1], b: [2], c: [3] })
    expect(planOf(three, { budget: 2, popularity: new Map([['c', 0]]) })).toEqual(['a b', 'c'])
  })
})

describe('odd closures', () => {
  test('a reference to itself counts for nothing', () => {
    const closure = closureOf({ app: [1, 'app', 'a-lib'], 'a-lib': [1, 'a-lib'] })
    expect(planOf(closure)).toEqual(['a-lib app'])
  })

  test('a reference to a path outside the closure counts for nothing', () => {
    expect(planOf(closureOf({ app: [1, 'gone', 'lib'], lib: [1, 'gone'] }))).toEqual(['app lib'])
  })

  test('a path that is listed twice is packed once', () => {
    expect(planOf([...example, ...example])).toEqual(planOf(example))
  })

  test('a reference that is named twice counts once', () => {
    const closure = closureOf({ app: [1, 'lib', 'lib', 'lib'], lib: [1] })
    expect(planOf(closure)).toEqual(['app lib'])
  })

  test('of a cycle that nothing else refers to, the smallest path is the root', () => {
    expect(planOf(closureOf({ b: [1, 'a'], a: [1, 'b'], c: [2] }))).toEqual(['a b', 'c'])
  })
})

/** Closures of up to 40 paths with any references among them, to themselves and to paths that are not there. */
const anyClosure: fc.Arbitrary<Closure> = fc
  .uniqueArray(fc.stringMatching(/^[a-z]{1,2}$/), { maxLength: 40 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          path: fc.constant(storePath(name)),
          narSize: fc.oneof(fc.nat(2 * MB), fc.nat(200 * MB)),
          references: fc.array(fc.constantFrom(...names, 'gone').map(storePath), { maxLength: 5 }),
        }),
      ),
    ),
  )
const anyBudget = fc.integer({ min: 1, max: 50 })
const anyPopularity = fc.option(
  fc
    .array(fc.tuple(fc.stringMatching(/^[a-z]{1,2}$/), fc.nat(300)))
    .map((entries) => new Map(entries)),
  { nil: new Map<string, number>() },
)

function holds(property: (closure: Closure, options: PlanOptions, plan: Plan) => void): void {
  fc.assert(
    fc.property(anyClosure, anyBudget, anyPopularity, (closure, budget, popularity) => {
      const options = { budget, popularity }
      property(closure, options, planLayers(closure, options))
    }),
    { numRuns: 300 },
  )
}

describe('for every closure', () => {
  test('each path is in exactly one layer, and no layer is empty', () => {
    holds((closure, _, plan) => {
      expect(plan.flat().sort()).toEqual(closure.map(({ path }) => path).sort())
      expect(plan.every((layer) => layer.length > 0)).toBe(true)
    })
  })

  test('the paths of a layer are sorted', () => {
    holds((_closure, _options, plan) => {
      for (const layer of plan) expect(layer).toEqual([...layer].sort())
    })
  })

  test('there are never more layers than the budget', () => {
    holds((_, { budget }, plan) => {
      expect(plan.length).toBeLessThanOrEqual(budget)
    })
  })

  test('the budget is used up before anything is merged', () => {
    holds((closure, options, plan) => {
      const unlimited = planLayers(closure, { ...options, budget: 1000 })
      expect(plan.length).toBe(Math.min(options.budget, unlimited.length))
    })
  })

  test('it is the lowest ratings that are merged', () => {
    const anySizes = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { maxLength: 60 })
    fc.assert(
      fc.property(anySizes, anyBudget, (sizes, budget) => {
        const closure = sizes.map((narSize) => {
          return { path: storePath(`p${narSize}`), narSize, references: [] }
        })
        const totals = planLayers(closure, { budget }).map((layer) =>
          layer.reduce((sum, path) => sum + Number(storePathName(path).slice(1)), 0),
        )
        const expected = [...sizes]
        while (expected.length > budget) {
          expected.sort((a, b) => a - b)
          expected.push((expected.shift() as number) + (expected.shift() as number))
        }
        expect(totals).toEqual(expected.sort((a, b) => b - a))
      }),
    )
  })

  test('the order of the paths, and of their references, has no effect', () => {
    fc.assert(
      fc.property(
        anyClosure.chain((closure) =>
          fc.tuple(
            fc.constant(closure),
            fc.shuffledSubarray([...closure], { minLength: closure.length }),
          ),
        ),
        anyBudget,
        ([closure, shuffled], budget) => {
          const turned = shuffled.map((info) => ({
            ...info,
            references: info.references.toReversed(),
          }))
          expect(planLayers(turned, { budget })).toEqual(planLayers(closure, { budget }))
        },
      ),
    )
  })

  test('the closure that was passed is left as it was', () => {
    fc.assert(
      fc.property(anyClosure, anyBudget, (closure, budget) => {
        const before = structuredClone(closure)
        planLayers(closure, { budget })
        expect(closure).toEqual(before)
      }),
    )
  })
})
