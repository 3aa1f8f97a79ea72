/**
 * What layers are for, on a small fleet: a client that has one image downloads little for another, and the
 * registry stores each byte once. `scripts/bench layering` measures the same on whole distributions.
 */
import { describe, expect, test } from 'vitest'
import type { Closure, Plan } from '../../service/closure/closure.ts'
import { LayerKnowledge } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { storePath } from '../support/closures.ts'

type Fleet = Readonly<Record<string, Closure>>
type Plans = Readonly<Record<string, Plan>>

const budget = 12

/** Libraries with sizes in kB and what each needs; the small ones are many, as they are in life. */
const libraries: Record<string, [size: number, ...needs: string[]]> = {
  ...{
    libc: [30_000],
    zlib: [60, 'libc'],
    ssl: [6000, 'libc', 'zlib'],
    curl: [500, 'ssl', 'zlib'],
  },
  ...{ data: [9000], font: [4000, 'libc'], perl: [50_000, 'libc'], locale: [80, 'perl'] },
  ...Object.fromEntries(
    Array.from({ length: 20 }, (_, number) => [
      `part${String.fromCharCode(97 + number)}`,
      [5 + number, 'libc'],
    ]),
  ),
}
const parts = Object.keys(libraries).filter((name) => name.startsWith('part'))
const applications: Record<string, [size: number, ...needs: string[]]> = {
  shop: [20_000, 'curl', 'data', ...parts.slice(0, 10)],
  report: [8000, 'curl', 'font', ...parts.slice(0, 15)],
  mail: [3000, 'perl', 'locale', 'ssl', ...parts.slice(5)],
  tool: [400, 'libc'],
}

/** Every image, when the packages named have changed: their paths are others, and those of all above. */
function release(changed: readonly string[] = []): Fleet {
  const all = { ...libraries, ...applications }
  const needsOf = (name: string) => (all[name] ?? [0]).slice(1) as string[]
  const isNew = (name: string): boolean => changed.includes(name) || needsOf(name).some(isNew)
  const pathOf = (name: string) => {
    const path = storePath(`${name}-${changed.includes(name) ? 2 : 1}.0`)
    return isNew(name) ? path.replace('00', 'zz') : path
  }
  const closureOf = (name: string) => {
    const names = new Set([name])
    for (const each of names) for (const need of needsOf(each)) names.add(need)
    return [...names].map((each) => ({
      path: pathOf(each),
      narSize: (all[each] ?? [0])[0] * 1000,
      references: needsOf(each).map(pathOf),
    }))
  }
  return Object.fromEntries(Object.keys(applications).map((name) => [name, closureOf(name)]))
}

function plansOf(fleet: Fleet, knowledge: LayerKnowledge): Plans {
  return Object.fromEntries(
    Object.entries(fleet).map(([name, closure]) => [
      name,
      planLayers(closure, { budget, knowledge }),
    ]),
  )
}

function learn(knowledge: LayerKnowledge, fleet: Fleet, plans?: Plans): LayerKnowledge {
  return knowledge.learn(
    Object.entries(fleet).map(([name, closure]) => {
      const plan = plans?.[name]
      return plan ? { name, closure, plan } : { name, closure }
    }),
  )
}

/** Every path a layer: the least that there can be. */
function floorOf(fleet: Fleet): Plans {
  return Object.fromEntries(
    Object.entries(fleet).map(([name, closure]) => [name, closure.map(({ path }) => [path])]),
  )
}

/** Bytes of the layers that are not among those of `before`. */
function bytesOf(fleet: Fleet, plans: readonly Plan[], before: readonly Plan[] = []): number {
  const sizes = new Map(
    Object.values(fleet).flatMap((closure) => closure.map(({ path, narSize }) => [path, narSize])),
  )
  const had = new Set(before.flatMap((plan) => plan.map(String)))
  const layers = new Map(plans.flatMap((plan) => plan.map((layer) => [String(layer), layer])))
  return [...layers]
    .filter(([key]) => !had.has(key))
    .reduce(
      (sum, [, layer]) => sum + layer.reduce((all, path) => all + (sizes.get(path) ?? 0), 0),
      0,
    )
}

/** Bytes that clients with an image of the first release download for the same image of the next. */
function update(next: Fleet, plans: Plans, before: Plans): number {
  return Object.entries(plans).reduce((sum, [name, plan]) => {
    return sum + bytesOf(next, [plan], [before[name] ?? []])
  }, 0)
}

describe('a fleet that is known', () => {
  const first = release()
  const known = learn(LayerKnowledge.none, first)
  const plans = plansOf(first, known)
  const cut = learn(known, first, plans)

  test('is stored within 1% of every byte once', () => {
    const floor = bytesOf(first, Object.values(floorOf(first)))
    expect(bytesOf(first, Object.values(plans))).toBeLessThan(1.01 * floor)
  })

  test('has fewer layers than paths, and no image more than the budget', () => {
    for (const [name, plan] of Object.entries(plans)) {
      expect(plan.length).toBeLessThanOrEqual(budget)
      expect(plan.length).toBeLessThanOrEqual(first[name]?.length ?? 0)
    }
    expect(plans.report?.length).toBeLessThan((first.report?.length ?? 0) / 2)
  })

  test.each([
    ['all applications', Object.keys(applications)],
    ['one application', ['shop']],
    ['a library', ['ssl']],
    ['a library that only one needs', ['font']],
    ['a tiny library that some need', ['partg']],
  ])('is updated within 1% of what changed: %s', (_, changed) => {
    const next = release(changed)
    const floor = update(next, floorOf(next), floorOf(first))
    expect(update(next, plansOf(next, cut), plans)).toBeLessThan(1.01 * floor + 50_000)
  })

  test('has the next image within 1% for whoever has the others', () => {
    for (const name of Object.keys(first)) {
      const others = (all: Plans) =>
        Object.entries(all).flatMap(([other, plan]) => (other === name ? [] : [plan]))
      const floorPlans = floorOf(first)
      const floor = bytesOf(first, [floorPlans[name] ?? []], others(floorPlans))
      expect(bytesOf(first, [plans[name] ?? []], others(plans))).toBeLessThan(1.01 * floor)
    }
  })

  test('is not cut anew when an image is added', () => {
    const added = closureUnion(first.shop ?? [], first.mail ?? [])
    const plan = planLayers(added, { budget: 2 * budget, knowledge: cut })
    const later = cut.learn([{ name: 'shop/mail', closure: added, plan }])
    const layers = new Set(Object.values(plans).flatMap((each) => each.map(String)))
    expect(plan.map(String).every((layer) => layers.has(layer))).toBe(true)
    expect(plansOf(first, later)).toEqual(plans)
  })
})

function closureUnion(...closures: readonly Closure[]): Closure {
  return [...new Map(closures.flat().map((info) => [info.path, info])).values()]
}
