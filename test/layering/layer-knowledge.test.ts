import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Closure } from '../../service/closure/closure.ts'
import { LayerKnowledge, type ServedImage } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { anyClosure, closureOf, storePath } from '../support/closures.ts'

const git = closureOf({ 'git-2.1': [30, 'libc-1.0'], 'libc-1.0': [30] })
const top = closureOf({ 'top-1.0': [1, 'libc-1.0'], 'libc-1.0': [30] })

function planned(name: string, closure: Closure, budget = 50): ServedImage {
  return { name, closure, plan: planLayers(closure, { budget }) }
}

/** identity → [releases, changes] */
function historyOf({ document }: LayerKnowledge): Record<string, number[]> {
  return Object.fromEntries(document.history.map(([identity, ...counts]) => [identity, counts]))
}

const anyImages = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    closure: anyClosure,
    isPlanned: fc.boolean(),
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
)
function served(images: readonly { name: string; closure: Closure; isPlanned: boolean }[]) {
  return images.map(({ name, closure, isPlanned }): ServedImage => {
    return isPlanned ? planned(name, closure, 5) : { name, closure }
  })
}

describe('knowledge', () => {
  test('has a version that tells what it is', () => {
    const one = LayerKnowledge.none.learn([planned('git', git)])
    expect(LayerKnowledge.none.version).toBe('none')
    expect(one.version).toMatch(/^[0-9a-f]{64}$/)
    expect(one.learn([]).version).toBe(one.version)
    expect(one.learn([planned('git', git)]).version).toBe(one.version)
    expect(one.learn([planned('top', top)]).version).not.toBe(one.version)
    expect(LayerKnowledge.none.learn([planned('git', git)]).version).toBe(one.version)
  })

  test('does not depend on the order of images, paths and references', () => {
    fc.assert(
      fc.property(anyImages, anyImages, (first, second) => {
        const turned = (images: readonly ServedImage[]) =>
          images.toReversed().map((image) => ({
            ...image,
            closure: image.closure.toReversed().map((info) => {
              return { ...info, references: info.references.toReversed() }
            }),
          }))
        const one = LayerKnowledge.none.learn(served(first)).learn(served(second))
        const other = LayerKnowledge.none.learn(turned(served(first))).learn(turned(served(second)))
        expect(other.document).toEqual(one.document)
        expect(other.version).toBe(one.version)
      }),
    )
  })

  test('is left as it was by learning', () => {
    const one = LayerKnowledge.none.learn([planned('git', git)])
    const before = structuredClone(one.document)
    one.learn([planned('git', top), planned('top', top)])
    expect(one.document).toEqual(before)
  })

  test('survives being written as JSON', () => {
    fc.assert(
      fc.property(anyImages, (images) => {
        const { document, version } = LayerKnowledge.none.learn(served(images))
        const read = new LayerKnowledge(JSON.parse(JSON.stringify(document)))
        expect(read.document).toEqual(document)
        expect(read.version).toBe(version)
      }),
    )
  })

  test('holds each path and each layer once, and none that no image has', () => {
    const { document } = LayerKnowledge.none
      .learn([planned('git', git), planned('top', top)])
      .learn([planned('top', git)])
      .learn([planned('top', git, 1)])
    expect(new Set(document.paths).size).toBe(document.paths.length)
    expect(new Set(document.layers.map(String)).size).toBe(document.layers.length)
    const used = new Set(document.images.flatMap(({ plans }) => plans.flat()))
    expect(used.size).toBe(document.layers.length)
  })

  test('remembers the last three plans of an image', () => {
    let knowledge = LayerKnowledge.none
    for (const version of [1, 2, 3, 4, 5]) {
      const closure = closureOf({ [`app-${version}.0`]: [1] })
      knowledge = knowledge.learn([planned('app', closure)])
    }
    expect(knowledge.document.paths.map((path) => path.slice(44))).toEqual([
      'app-3.0',
      'app-4.0',
      'app-5.0',
    ])
    expect(knowledge.document.images.length).toBe(1)
  })

  test('forgets the images that were not learned for the longest time', () => {
    const image = (number: number) => {
      return planned(`image-${String(number).padStart(5, '0')}`, closureOf({ [`p${number}`]: [1] }))
    }
    const many = Array.from({ length: 1000 }, (_, number) => image(number))
    const { document } = LayerKnowledge.none.learn(many).learn([image(5000), image(5001)])
    const names = document.images.map(({ name }) => name)
    expect(names.length).toBe(1000)
    expect(names.slice(0, 3)).toEqual(['image-05000', 'image-05001', 'image-00000'])
    expect(document.paths.length).toBe(1000)
    expect(names).not.toContain('image-00999')
  })
})

describe('history', () => {
  const first = closureOf({
    'app-1.0': [1, 'lib-1.0'],
    'lib-1.0': [1, 'libc-1.0'],
    'libc-1.0': [1],
  })
  const start = LayerKnowledge.none.learn([{ name: 'app', closure: first }])
  /** Other paths of the same names, as when something below them changed. */
  const rebuilt = (closure: Closure, names: readonly string[]): Closure => {
    const path = (old: string) => {
      return names.includes(old.slice(44))
        ? old.replace('/store/', '/store/').replace(/0-/, '1-')
        : old
    }
    return closure.map((info) => {
      return { ...info, path: path(info.path), references: info.references.map(path) }
    })
  }

  test('starts with the second release', () => {
    expect(start.document.history).toEqual([])
  })

  test('tells what changed by itself from what changed with what is below it', () => {
    const second = rebuilt(first, ['app-1.0', 'lib-1.0'])
    expect(historyOf(start.learn([{ name: 'app', closure: second }]))).toEqual({
      app: [1, 0],
      lib: [1, 1],
      libc: [1, 0],
    })
  })

  test('takes a new version for a change, whatever is below', () => {
    const second = closureOf({
      'app-1.1': [1, 'lib-1.1'],
      'lib-1.1': [1, 'libc-1.0'],
      'libc-1.0': [1],
    })
    expect(historyOf(start.learn([{ name: 'app', closure: second }]))).toEqual({
      app: [1, 1],
      lib: [1, 1],
      libc: [1, 0],
    })
  })

  test('counts a release once, however many images have the path', () => {
    const both = start.learn([{ name: 'copy', closure: first }])
    const second = rebuilt(first, ['app-1.0'])
    const learned = both.learn([
      { name: 'app', closure: second },
      { name: 'copy', closure: second },
    ])
    expect(historyOf(learned).app).toEqual([1, 1])
  })

  test('an image that is as it was, and a path that is new in one, say nothing', () => {
    const again = start.learn([{ name: 'app', closure: first }])
    expect(again.document.history).toEqual([])
    const more = [...first, ...closureOf({ 'new-1.0': [1] })]
    expect(historyOf(again.learn([{ name: 'app', closure: more }]))).not.toHaveProperty('new')
  })

  test('loses weight with time, and goes with the last image', () => {
    let knowledge = start
    for (let release = 1; release <= 100; release++) {
      const closure = closureOf({ [`app-${release}.1`]: [1, 'libc-1.0'], 'libc-1.0': [1] })
      knowledge = knowledge.learn([{ name: 'app', closure }])
    }
    const { app = [], libc = [] } = historyOf(knowledge)
    expect(app[0]).toBeLessThan(32)
    expect(app[1]).toBe(app[0])
    expect(libc[1]).toBe(0)
    expect(historyOf(knowledge)).not.toHaveProperty('lib')
  })
})

describe('whole layers', () => {
  const layersIn = (knowledge: LayerKnowledge, closure: Closure) => {
    const sizes = new Map(closure.map(({ path, narSize }) => [path, narSize]))
    return knowledge.fleet.wholeLayers(sizes).map((plan) => {
      return plan.map((layer) => layer.map((path) => path.slice(44)).join(' '))
    })
  }
  const cut = (name: string, plan: readonly (readonly string[])[]): ServedImage => ({
    name,
    closure: closureOf(Object.fromEntries(plan.flat().map((path) => [path, [1]]))),
    plan: plan.map((layer) => layer.map(storePath)),
  })

  test('are those of which every path is there, the plan with most of the bytes first', () => {
    const knowledge = LayerKnowledge.none.learn([
      cut('large', [['a', 'b'], ['c'], ['d', 'e']]),
      cut('small', [['a'], ['b'], ['f']]),
    ])
    const closure = closureOf({ a: [1], b: [1], c: [1], d: [1], f: [1], g: [1] })
    expect(layersIn(knowledge, closure)).toEqual([['a b', 'c'], ['f']])
  })

  test('are none where nothing is known', () => {
    expect(layersIn(LayerKnowledge.none, git)).toEqual([])
  })
})
