/**
 * How long it takes to plan the layers of a closure, by the number of its store paths, and beside n log n: what
 * the same planner takes for the smallest closure, times what n log n grows by. First of a new registry,
 * then of one that knows the release before and images that have a part of the same paths.
 */
import type { Closure, PathInfo } from '../../service/closure/closure.ts'
import { LayerKnowledge, type ServedImage } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { type Goal, type Row, rowOf } from './row.ts'

const sizes = [1000, 10_000, 100_000]
const runs = 5
/** As in an image of 94 layers, of which one is the link farm's. */
const budget = 93
/** Images that are known besides. */
const others = 8
/** Milliseconds for the largest closure. */
const limit = 2000

export async function measurePlanning(): Promise<Row[]> {
  return [
    ...rowsOf('nothing known', (size) => ({ closure: closureOf(size, 1) })),
    ...rowsOf('the release before known', (size) => {
      return { closure: closureOf(size, 2), knowledge: knowledgeOf(closureOf(size, 1)) }
    }),
  ]
}

interface Task {
  readonly closure: Closure
  readonly knowledge?: LayerKnowledge
}

function rowsOf(what: string, taskOf: (size: number) => Task): Row[] {
  const smallest: number[] = []
  return sizes.map((size) => {
    const task = taskOf(size)
    // Once without measuring, which compiles the planner and arranges what is known.
    plan(task)
    const times = Array.from({ length: runs }, () => plan(task))
    if (size === sizes[0]) smallest.push(...times)
    const growth = nLogN(size) / nLogN(sizes[0] as number)
    const expected = smallest.map((time) => time * growth)
    return rowOf({
      what: `planning ${size.toLocaleString('en')} store paths, ${what}`,
      unit: 'ms',
      runs: times,
      ...(size === sizes[0] ? {} : { peer: { what: 'n log n', runs: expected } }),
      ...(size === sizes.at(-1) ? { goal } : {}),
    })
  })
}

const goal: Goal = {
  text: `under ${limit} ms, growing no worse than n log n`,
  isMet: ({ slipway, ratio }) => slipway.median < limit && (ratio?.median ?? Infinity) <= 1,
}

/** @returns milliseconds */
function plan({ closure, knowledge = LayerKnowledge.none }: Task): number {
  const start = performance.now()
  planLayers(closure, { budget, knowledge })
  return performance.now() - start
}

function nLogN(size: number): number {
  return size * Math.log(size)
}

/**
 * A closure in which each path refers to some before it, to the first ones more often, as all need a few
 * libraries. Sizes are spread as those of packages are: most small, few large. In a release of a higher number a
 * tenth of the paths are others than in the one before.
 */
function closureOf(size: number, release: number): Closure {
  const random = generator(size)
  const pathOf = (place: number) => {
    const version = place % 10 === 7 ? release : 1
    const hash = `${place.toString(36)}v${version}`.padStart(32, '0')
    return `/nix/store/${hash}-package-${letters(place)}-${version}.0`
  }
  const closure = Array.from({ length: size }, (_, place): PathInfo => {
    const references = Array.from({ length: place === 0 ? 0 : 1 + Math.floor(8 * random()) }, () =>
      pathOf(Math.floor(place * random() ** 3)),
    )
    return { path: pathOf(place), narSize: Math.round(Math.exp(8 + 8 * random())), references }
  })
  // As it is read from Nix: text of its own for every mention of a path.
  return JSON.parse(JSON.stringify(closure))
}

/** Of the whole image, as it was cut, and of images with its first paths, an equal share more each. */
function knowledgeOf(closure: Closure): LayerKnowledge {
  const images = Array.from({ length: others }, (_, place): ServedImage => {
    const size = Math.ceil((closure.length * (place + 1)) / (others + 1))
    return { name: `part-${place}`, closure: closure.slice(0, size) }
  })
  const whole = { name: 'whole', closure, plan: planLayers(closure, { budget }) }
  return LayerKnowledge.none.learn([...images, whole])
}

/** A number as a name without digits, which would be taken for a version. */
function letters(place: number): string {
  return place.toString(26).replace(/\d/g, (digit) => 'qrstuvwxyz'.charAt(Number(digit)))
}

/** Numbers from 0 to 1, the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
