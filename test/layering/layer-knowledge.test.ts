import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Closure, storePathName } from '../../service/closure/closure.ts'
import { LayerKnowledge, type ServedImage } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { anyClosure, closureOf, storePath } from '../support/closures.ts'

const git = closureOf({ 'git-2.1': [30, 'libc-1.0'], 'libc-1.0': [30] })
const top = closureOf({ 'top-1.0': [1, 'libc-1.0'], 'libc-1.0': [30] })

function planned(name: string, closure: Closure, budget = 50): ServedImage {
  return { name, closure, plan: planLayers(closure, { budget }) }
}

/** Returns the history by path identity: [releases, changes]. */
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
  test('the version of knowledge changes exactly when its content changes', () => {
    const one = LayerKnowledge.none.learn([planned('git', git)])
    expect(LayerKnowledge.none.version).toBe('none')
    expect(one.version).toMatch(/^[0-9a-f]{64}$/)
    expect(one.learn([]).version).toBe(one.version)
    expect(one.learn([planned('git', git)]).version).toBe(one.version)
    expect(one.learn([planned('top', top)]).version).not.toBe(one.version)
    expect(LayerKnowledge.none.learn([planned('git', git)]).version).toBe(one.version)
  })

  test('knowledge does not depend on the order of images, paths and references', () => {
    fc.assert(
      fc.property(anyImages, anyImages, (first, second) => {
        const reversed = (images: readonly ServedImage[]) =>
          images.toReversed().map((image) => ({
            ...image,
            closure: image.closure.toReversed().map((info) => {
              return { ...info, references: info.references.toReversed() }
            }),
          }))
        const one = LayerKnowledge.none.learn(served(first)).learn(served(second))
        const other = LayerKnowledge.none
          .learn(reversed(served(first)))
          .learn(reversed(served(second)))
        expect(other.document).toEqual(one.document)
        expect(other.version).toBe(one.version)
      }),
    )
  })

  test('learning does not change the knowledge that it starts from', () => {
    const one = LayerKnowledge.none.learn([planned('git', git)])
    const before = structuredClone(one.document)
    one.learn([planned('git', top), planned('top', top)])
    expect(one.document).toEqual(before)
  })

  test('knowledge written to JSON and read again has the same document and version', () => {
    fc.assert(
      fc.property(anyImages, (images) => {
        const { document, version } = LayerKnowledge.none.learn(served(images))
        const read = new LayerKnowledge(JSON.parse(JSON.stringify(document)))
        expect(read.document).toEqual(document)
        expect(read.version).toBe(version)
      }),
    )
  })

  test('the document has each path and layer once, and no layer that no image has', () => {
    const { document } = LayerKnowledge.none
      .learn([planned('git', git), planned('top', top)])
      .learn([planned('top', git)])
      .learn([planned('top', git, 1)])
    expect(new Set(document.paths).size).toBe(document.paths.length)
    expect(new Set(document.layers.map(String)).size).toBe(document.layers.length)
    const used = new Set(document.images.flatMap(({ plans }) => plans.flat()))
    expect(used.size).toBe(document.layers.length)
  })

  test('the document keeps the last three plans of an image', () => {
    let knowledge = LayerKnowledge.none
    for (const version of [1, 2, 3, 4, 5]) {
      const closure = closureOf({ [`app-${version}.0`]: [1] })
      knowledge = knowledge.learn([planned('app', closure)])
    }
    expect(knowledge.document.paths.map((path) => storePathName(path))).toEqual([
      'app-3.0',
      'app-4.0',
      'app-5.0',
    ])
    expect(knowledge.document.images.length).toBe(1)
  })

  test('beyond 1,000 images those not learned for the longest time are dropped', () => {
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
  /** Gives the named paths new hashes, as when a dependency of them changed. */
  const rebuilt = (closure: Closure, names: readonly string[]): Closure => {
    const path = (old: string) =>
      names.includes(storePathName(old)) ? old.replace('0-', '1-') : old
    return closure.map((info) => {
      return { ...info, path: path(info.path), references: info.references.map(path) }
    })
  }

  test('the first release of an image adds nothing to the history', () => {
    expect(start.document.history).toEqual([])
  })

  test('a path that is new only because its references are new does not count as changed', () => {
    const second = rebuilt(first, ['app-1.0', 'lib-1.0'])
    expect(historyOf(start.learn([{ name: 'app', closure: second }]))).toEqual({
      app: [1, 0],
      lib: [1, 1],
      libc: [1, 0],
    })
  })

  test('a path with a new version counts as changed, even if its references are new', () => {
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

  test('a release counts once for a path, however many images have the path', () => {
    const both = start.learn([{ name: 'copy', closure: first }])
    const second = rebuilt(first, ['app-1.0'])
    const learned = both.learn([
      { name: 'app', closure: second },
      { name: 'copy', closure: second },
    ])
    expect(historyOf(learned).app).toEqual([1, 1])
  })

  test('an unchanged image adds nothing to the history', () => {
    const again = start.learn([{ name: 'app', closure: first }])
    expect(again.document.history).toEqual([])
  })

  test('a path that is new in its image is not in the history', () => {
    const more = [...first, ...closureOf({ 'new-1.0': [1] })]
    const learned = start.learn([{ name: 'app', closure: more }])
    expect(Object.keys(historyOf(learned))).toEqual(['app', 'lib', 'libc'])
  })

  describe('after 100 releases', () => {
    let knowledge = start
    for (let release = 1; release <= 100; release++) {
      const closure = closureOf({ [`app-${release}.1`]: [1, 'libc-1.0'], 'libc-1.0': [1] })
      knowledge = knowledge.learn([{ name: 'app', closure }])
    }
    const history = historyOf(knowledge)

    test('the history weighs 100 releases like fewer than 32', () => {
      const { app = [], libc = [] } = history
      expect(app[0]).toBeLessThan(32)
      expect(app[1]).toBe(app[0])
      expect(libc).toEqual([app[0], 0])
    })

    test('the history of a path that no image has any more is dropped', () => {
      expect(Object.keys(history)).toEqual(['app', 'libc'])
    })
  })
})

describe('reusable layers', () => {
  const layersIn = (knowledge: LayerKnowledge, closure: Closure) => {
    const sizes = new Map(closure.map(({ path, narSize }) => [path, narSize]))
    return knowledge.knownImages.reusableLayers(sizes).map((plan) => {
      return plan.map((layer) => layer.map((path) => storePathName(path)).join(' '))
    })
  }
  const planned = (name: string, plan: readonly (readonly string[])[]): ServedImage => ({
    name,
    closure: closureOf(Object.fromEntries(plan.flat().map((path) => [path, [1]]))),
    plan: plan.map((layer) => layer.map(storePath)),
  })

  test('layers of the plan that covers most bytes are reused first', () => {
    const knowledge = LayerKnowledge.none.learn([
      planned('large', [['a', 'b'], ['c'], ['d', 'e']]),
      planned('small', [['a'], ['b'], ['f']]),
    ])
    const closure = closureOf({ a: [1], b: [1], c: [1], d: [1], f: [1], g: [1] })
    expect(layersIn(knowledge, closure)).toEqual([['a b', 'c'], ['f']])
  })

  test('a planner without knowledge reuses no layers', () => {
    expect(layersIn(LayerKnowledge.none, git)).toEqual([])
  })
})
