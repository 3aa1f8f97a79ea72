import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Closure, Plan } from '../../service/closure/closure.ts'
import { LayerKnowledge } from '../../service/layering/layer-knowledge.ts'
import { type PlanOptions, planLayers } from '../../service/layering/plan-layers.ts'
import { anyClosure, closureOf, named, storePath } from '../support/closures.ts'

/** Returns the plan with names instead of paths: `['glibc', 'bash readline']`. */
function planOf(closure: Closure, options: Partial<PlanOptions> = {}): string[] {
  return named(planLayers(closure, { budget: 100, ...options }))
}

function knowledgeOf(images: Record<string, Closure>): LayerKnowledge {
  return LayerKnowledge.none.learn(
    Object.entries(images).map(([name, closure]) => ({ name, closure })),
  )
}

const shop = closureOf({
  shop: [20, 'lib', 'libc'],
  lib: [3, 'tables', 'libc'],
  tables: [0.005],
  libc: [30, 'idn'],
  idn: [0.4],
})
const report = closureOf({ report: [8, 'libc'], libc: [30, 'idn'], idn: [0.4] })

describe('worked example of plan-layers.ts', () => {
  const knowledge = knowledgeOf({ shop, report })

  test('the worked example has the layers that it states', () => {
    expect(planOf(shop, { knowledge })).toEqual(['idn libc', 'lib tables', 'shop'])
    expect(planOf(report, { knowledge })).toEqual(['idn libc', 'report'])
    expect(planOf(shop, { knowledge, budget: 2 })).toEqual(['idn libc', 'lib shop tables'])
  })

  test('in the next release of the worked example only the changed layer is new', () => {
    const plan = planLayers(shop, { knowledge, budget: 100 })
    const later = knowledge.learn([{ name: 'shop', closure: shop, plan }])
    const next = shop.map((info) =>
      info.path === storePath('shop') ? { ...info, path: storePath('shop-2') } : info,
    )
    expect(planOf(next, { knowledge: later })).toEqual(['idn libc', 'lib tables', 'shop-2'])
  })
})

describe('without knowledge', () => {
  test('a large path has a layer of its own', () => {
    const closure = closureOf({ app: [1, 'model'], model: [4] })
    expect(planOf(closure)).toEqual(['model', 'app'])
  })

  test('a path that is smaller than the cost of a layer is merged', () => {
    const closure = closureOf({ app: [1, 'licence', 'libc'], licence: [0.005], libc: [30] })
    expect(planOf(closure)).toEqual(['libc', 'app licence'])
  })

  test('a large path that others refer to keeps its own layer under a small budget', () => {
    const closure = closureOf({ app: [1, 'a', 'b'], a: [2, 'libc'], b: [2, 'libc'], libc: [30] })
    expect(planOf(closure, { budget: 2 })).toEqual(['libc', 'a app b'])
  })

  test.each([
    [200, 0.0625, 25],
    [200, 2, 100],
    [20, 0.0625, 20],
  ])('%d paths of %d MiB make %d layers under a budget of 100', (count, mebibytes, layers) => {
    const size = (mebibytes * 1024 * 1024) / 1e6
    const names = Array.from({ length: count }, (_, at) => `path${at}`)
    expect(planOf(closureOf(Object.fromEntries(names.map((name) => [name, [size]]))))).toHaveLength(
      layers,
    )
  })

  test('a path that many packages refer to is merged after less popular paths', () => {
    const closure = closureOf({ a: [1], b: [1.1], 'c-1.0': [1] })
    expect(planOf(closure, { budget: 2 })).toEqual(['b', 'a c-1.0'])
    for (const name of ['c', 'c-1.0']) {
      const popularity = new Map([[name, 500]])
      expect(planOf(closure, { budget: 2, popularity })).toEqual(['c-1.0', 'a b'])
    }
    const prefersItsVersion = new Map([
      ['c', 500],
      ['c-1.0', 0],
    ])
    expect(planOf(closure, { budget: 2, popularity: prefersItsVersion })).toEqual(['b', 'a c-1.0'])
  })

  test('a closure without paths has no layers', () => {
    expect(planLayers([], { budget: 1 })).toEqual([])
  })

  test('a closure under a budget of 1 has one layer', () => {
    expect(planOf(shop, { budget: 1 })).toEqual(['idn lib libc shop tables'])
  })

  test.each([0, -1, 1.5, Number.NaN])('a budget of %d is rejected', (budget) => {
    expect(() => planLayers(shop, { budget })).toThrow(
      `the layer budget must be a whole number of at least 1, not ${budget}`,
    )
  })
})

describe('with knowledge', () => {
  test('paths that are in the same two images are one layer in both images', () => {
    const a = closureOf({ a: [1, 'x', 'y', 'z'], x: [0.1], y: [0.1], z: [0.1] })
    const b = closureOf({ b: [1, 'x', 'y'], x: [0.1], y: [0.1] })
    const knowledge = knowledgeOf({ a, b })
    expect(planOf(a, { knowledge })).toContain('x y')
    expect(planOf(b, { knowledge })).toContain('x y')
  })

  test('a new image with the packages of two known images consists of their layers', () => {
    const git = closureOf({ git: [30, 'libc'], libc: [30] })
    const top = closureOf({ top: [1, 'curses', 'libc'], curses: [0.5, 'libc'], libc: [30] })
    const images = { git, top }
    const first = knowledgeOf(images)
    const plans = Object.entries(images).map(([name, closure]) => {
      return { name, closure, plan: planLayers(closure, { budget: 100, knowledge: first }) }
    })
    const both = [...new Map([...git, ...top].map((info) => [info.path, info])).values()]
    const plan = planLayers(both, { budget: 100, knowledge: first.learn(plans) })
    const known = new Set(plans.flatMap((image) => named(image.plan)))
    expect(named(plan).every((layer) => known.has(layer))).toBe(true)
  })

  test('small layers of an earlier plan are reused even in an image of many layers', () => {
    const small = Array.from({ length: 40 }, (_, at) => `small${at}`)
    const entries = Object.fromEntries(small.map((name) => [name, [1 / 16] as [number]]))
    const closure = closureOf(entries)
    const plan = small.map((name) => [storePath(name)])
    const knowledge = LayerKnowledge.none.learn([{ name: 'one', closure, plan }])
    const other = closureOf({ ...entries, other: [1 / 16] })
    expect(planOf(other, { knowledge })).toEqual(expect.arrayContaining(small))
  })

  test('layers of an earlier plan are merged only for the budget, the smallest first', () => {
    const closure = closureOf({ a: [0.001], b: [0.002], c: [9] })
    const plan = closure.map(({ path }) => [path])
    const knowledge = LayerKnowledge.none.learn([{ name: 'image', closure, plan }])
    expect(planOf(closure).length).toBe(2)
    expect(planOf(closure, { knowledge }).sort()).toEqual(['a', 'b', 'c'])
    expect(planOf(closure, { knowledge, budget: 2 }).sort()).toEqual(['a b', 'c'])
  })

  test('reused layers keep the order of their earlier plan', () => {
    const closure = closureOf({ a: [1], b: [2], c: [3] })
    const plan = ['b', 'c', 'a'].map((name) => [storePath(name)])
    const knowledge = LayerKnowledge.none.learn([{ name: 'image', closure, plan }])
    expect(planOf(closure, { knowledge })).toEqual(['b', 'c', 'a'])
  })

  test('a path that changed in earlier releases gets a layer apart from stable paths', () => {
    const release = (version: number) =>
      closureOf({
        app: [1, `own-${version}`, 'data-1'],
        [`own-${version}`]: [0.2],
        'data-1': [0.2],
      }).map((info) => ({ ...info, path: info.path.replace('-app', `-app-${version}`) }))
    let knowledge = LayerKnowledge.none
    const partsOf = (closure: Closure) =>
      planOf(closure, { knowledge }).filter((layer) => /own|data/.test(layer)).length
    knowledge = knowledge.learn([{ name: 'app', closure: release(1) }])
    expect(partsOf(release(2))).toBe(1)
    for (let version = 2; version < 8; version++) {
      knowledge = knowledge.learn([{ name: 'app', closure: release(version) }])
    }
    expect(partsOf(release(8))).toBe(2)
  })
})

describe('odd closures', () => {
  test('repeated references, and references to the path itself or outside, are ignored', () => {
    const plain = closureOf({ app: [1, 'lib'], lib: [1] })
    const odd = closureOf({ app: [1, 'app', 'lib', 'lib', 'gone'], lib: [1, 'lib'] })
    expect(planOf(odd)).toEqual(planOf(plain))
  })

  test('a path that is listed twice is packed once', () => {
    expect(planOf([...shop, ...shop])).toEqual(planOf(shop))
  })

  test('a closure with a reference cycle is planned with every path once', () => {
    const closure = closureOf({ a: [1, 'b'], b: [1, 'c'], c: [1, 'a'], d: [1, 'd', 'a'] })
    expect(planOf(closure).join(' ').split(' ').sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('a chain of 20,000 paths is planned without a stack overflow', () => {
    const closure = Array.from({ length: 20_000 }, (_, place) => ({
      path: storePath(`p${place}`),
      narSize: 1000,
      references: place === 0 ? [] : [storePath(`p${place - 1}`)],
    }))
    const plan = planLayers(closure, { budget: 10 })
    expect(plan.length).toBeLessThanOrEqual(10)
    expect(new Set(plan.flat()).size).toBe(20_000)
  })
})

const anyBudget = fc.integer({ min: 1, max: 50 })
const anyPopularity = fc.option(
  fc
    .array(fc.tuple(fc.stringMatching(/^[a-z]{1,2}$/), fc.nat(300)))
    .map((entries) => new Map(entries)),
  { nil: new Map<string, number>() },
)
/** Knowledge of images that have paths in common; some of them are planned. */
const anyKnowledge = fc
  .array(fc.record({ closure: anyClosure, budget: fc.option(anyBudget, { nil: undefined }) }), {
    maxLength: 4,
  })
  .map((images) =>
    images.reduce((knowledge, { closure, budget }, place) => {
      const plan = budget === undefined ? {} : { plan: planLayers(closure, { budget, knowledge }) }
      return knowledge.learn([{ name: `image-${place % 3}`, closure, ...plan }])
    }, LayerKnowledge.none),
  )

const anyOptions: fc.Arbitrary<PlanOptions> = fc.record({
  budget: anyBudget,
  popularity: anyPopularity,
  knowledge: anyKnowledge,
})

/** Asserts a property of the plan of any closure with any options. */
function forAllPlans(property: (closure: Closure, options: PlanOptions, plan: Plan) => void): void {
  fc.assert(
    fc.property(anyClosure, anyOptions, (closure, options) => {
      property(closure, options, planLayers(closure, options))
    }),
    { numRuns: 200 },
  )
}

describe('any closure with any knowledge', () => {
  test('every path of a closure is in exactly one layer, and no layer is empty', () => {
    forAllPlans((closure, _, plan) => {
      expect(plan.flat().sort()).toEqual(closure.map(({ path }) => path).sort())
      expect(plan.every((layer) => layer.length > 0)).toBe(true)
    })
  })

  test('the paths of each layer are sorted', () => {
    forAllPlans((_closure, _options, plan) => {
      for (const layer of plan) expect(layer).toEqual([...layer].sort())
    })
  })

  test('a plan never has more layers than the budget', () => {
    forAllPlans((_, { budget }, plan) => {
      expect(plan.length).toBeLessThanOrEqual(budget)
    })
  })

  test('the order of paths and references has no effect on the plan', () => {
    fc.assert(
      fc.property(
        anyClosure.chain((closure) =>
          fc.tuple(
            fc.constant(closure),
            fc.shuffledSubarray([...closure], { minLength: closure.length }),
          ),
        ),
        anyOptions,
        ([closure, shuffled], options) => {
          const reordered = shuffled.map((info) => ({
            ...info,
            references: info.references.toReversed(),
          }))
          expect(planLayers(reordered, options)).toEqual(planLayers(closure, options))
        },
      ),
    )
  })

  test('knowledge that was stored and read again makes the same plan', () => {
    forAllPlans((closure, options, plan) => {
      const document = JSON.parse(JSON.stringify(options.knowledge?.document))
      const read = new LayerKnowledge(document)
      expect(read.version).toBe(options.knowledge?.version)
      expect(planLayers(closure, { ...options, knowledge: read })).toEqual(plan)
    })
  })

  test('learning another image does not change the layers of a planned image', () => {
    fc.assert(
      fc.property(anyClosure, anyClosure, anyOptions, (closure, other, options) => {
        const plan = planLayers(closure, options)
        const own = (options.knowledge ?? LayerKnowledge.none).learn([
          { name: 'own', closure, plan },
        ])
        const later = own.learn([
          {
            name: 'other',
            closure: other,
            plan: planLayers(other, { ...options, knowledge: own }),
          },
        ])
        const again = planLayers(closure, { ...options, knowledge: later })
        expect(new Set(again.map(String))).toEqual(new Set(plan.map(String)))
      }),
    )
  })

  test('when one path changes, all layers without it are reused', () => {
    fc.assert(
      fc.property(anyClosure, fc.nat(), anyBudget, (closure, place, budget) => {
        fc.pre(closure.length > 0)
        const changed = closure[place % closure.length]?.path as string
        const plan = planLayers(closure, { budget })
        const knowledge = LayerKnowledge.none.learn([{ name: 'own', closure, plan }])
        const renamed = (path: string) => (path === changed ? `${path}-new` : path)
        const next = closure.map(({ path, narSize, references }) => {
          return { path: renamed(path), narSize, references: references.map(renamed) }
        })
        // The other paths of the changed layer are planned again, and may need a layer each.
        const after = planLayers(next, { budget: budget + closure.length, knowledge })
        const kept = plan.filter((layer) => !layer.includes(changed)).map(String)
        expect(after.map(String)).toEqual(expect.arrayContaining(kept))
      }),
    )
  })

  test('planning does not modify the closure that it is given', () => {
    fc.assert(
      fc.property(anyClosure, anyOptions, (closure, options) => {
        const before = structuredClone(closure)
        planLayers(closure, options)
        expect(closure).toEqual(before)
      }),
    )
  })
})
