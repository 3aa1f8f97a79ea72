/**
 * Measures the purpose of layers on four images: a client that has one image downloads little for another, and
 * the registry stores each byte once. `scripts/bench layering` measures the same on whole distributions.
 */
import { describe, expect, test } from 'vitest'
import type { Closure, Plan } from '../../service/closure/closure.ts'
import { LayerKnowledge } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { storePath } from '../support/closures.ts'

type Images = Readonly<Record<string, Closure>>
type Plans = Readonly<Record<string, Plan>>

const budget = 12

/** Sizes in kB and references of libraries. As in real closures, most libraries are small. */
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

/** Returns all images of a release that changes these packages; everything that refers to them has new paths. */
function release(changed: readonly string[] = []): Images {
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

function plansOf(images: Images, knowledge: LayerKnowledge): Plans {
  return Object.fromEntries(
    Object.entries(images).map(([name, closure]) => [
      name,
      planLayers(closure, { budget, knowledge }),
    ]),
  )
}

function learn(knowledge: LayerKnowledge, images: Images, plans?: Plans): LayerKnowledge {
  return knowledge.learn(
    Object.entries(images).map(([name, closure]) => {
      const plan = plans?.[name]
      return plan ? { name, closure, plan } : { name, closure }
    }),
  )
}

/** Returns plans with one layer for each path: no other plans store or transfer fewer bytes. */
function floorOf(images: Images): Plans {
  return Object.fromEntries(
    Object.entries(images).map(([name, closure]) => [name, closure.map(({ path }) => [path])]),
  )
}

/** Returns the bytes of all layers of `plans` that are not in `before`. */
function bytesOf(images: Images, plans: readonly Plan[], before: readonly Plan[] = []): number {
  const sizes = new Map(
    Object.values(images).flatMap((closure) => closure.map(({ path, narSize }) => [path, narSize])),
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

/** Returns the bytes that a client of each image downloads to update it from one release to the next. */
function updateBytes(next: Images, plans: Plans, before: Plans): number {
  return Object.entries(plans).reduce((sum, [name, plan]) => {
    return sum + bytesOf(next, [plan], [before[name] ?? []])
  }, 0)
}

describe('known images', () => {
  const first = release()
  const known = learn(LayerKnowledge.none, first)
  const plans = plansOf(first, known)
  const planned = learn(known, first, plans)

  test('all layers together are within 1% of storing every byte once', () => {
    const floor = bytesOf(first, Object.values(floorOf(first)))
    expect(bytesOf(first, Object.values(plans))).toBeLessThan(1.01 * floor)
  })

  test('no image has more layers than the budget; a larger one has less than half as many as paths', () => {
    for (const plan of Object.values(plans)) expect(plan.length).toBeLessThanOrEqual(budget)
    expect(plans.report?.length).toBeLessThan((first.report?.length ?? 0) / 2)
  })

  test.each([
    ['all applications', Object.keys(applications)],
    ['one application', ['shop']],
    ['a library', ['ssl']],
    ['a library of one image', ['font']],
    ['a small library of some images', ['partg']],
  ])('an update of %s downloads within 1% of the changed bytes', (_, changed) => {
    const next = release(changed)
    const floor = updateBytes(next, floorOf(next), floorOf(first))
    expect(updateBytes(next, plansOf(next, planned), plans)).toBeLessThan(1.01 * floor + 50_000)
  })

  test('a client of all other images downloads within 1% of the missing bytes', () => {
    for (const name of Object.keys(first)) {
      const others = (all: Plans) =>
        Object.entries(all).flatMap(([other, plan]) => (other === name ? [] : [plan]))
      const floorPlans = floorOf(first)
      const floor = bytesOf(first, [floorPlans[name] ?? []], others(floorPlans))
      expect(bytesOf(first, [plans[name] ?? []], others(plans))).toBeLessThan(1.01 * floor)
    }
  })

  test('an added image uses the layers of the others and changes none of their plans', () => {
    const added = closureUnion(first.shop ?? [], first.mail ?? [])
    const plan = planLayers(added, { budget: 2 * budget, knowledge: planned })
    const later = planned.learn([{ name: 'shop/mail', closure: added, plan }])
    const layers = new Set(Object.values(plans).flatMap((each) => each.map(String)))
    expect(plan.map(String).every((layer) => layers.has(layer))).toBe(true)
    expect(plansOf(first, later)).toEqual(plans)
  })
})

function closureUnion(...closures: readonly Closure[]): Closure {
  return [...new Map(closures.flat().map((info) => [info.path, info])).values()]
}
