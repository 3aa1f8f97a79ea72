/**
 * Measures the time to plan the layers of a closure by its number of store paths, compared with growth by
 * n log n: the time for the smallest closure, multiplied by the growth of n log n. Two cases: a planner without
 * knowledge, and one that knows the previous release and images with some of the same paths.
 */
import type { Closure, PathInfo } from '../../service/closure/closure.ts'
import { LayerKnowledge, type ServedImage } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { type Goal, type Row, rowOf } from './row.ts'

const sizes = [1000, 10_000, 100_000]
const runs = 5
/** Layers of store paths in an image of 94 layers: one layer is the link farm. */
const budget = 93
/** Number of known images that have some of the paths. */
const partialImages = 8
/** Most milliseconds for the largest closure. */
const limit = 2000

export async function measurePlanning(): Promise<Row[]> {
  return [
    ...rowsOf('without knowledge', (size) => ({ closure: closureOf(size, 1) })),
    ...rowsOf('knowing the previous release', (size) => {
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
    // The first call compiles the planner and indexes the knowledge, so it is not measured.
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

/** Returns the duration in milliseconds. */
function plan({ closure, knowledge = LayerKnowledge.none }: Task): number {
  const start = performance.now()
  planLayers(closure, { budget, knowledge })
  return performance.now() - start
}

function nLogN(size: number): number {
  return size * Math.log(size)
}

/**
 * Returns a closure in which each path refers to some earlier paths, most often to the first ones, as most
 * packages need a few common libraries. Sizes are spread like those of packages: many small, few large. A tenth
 * of the paths differ from one release to the next.
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
  // Like a closure read from Nix, each mention of a path is a string of its own.
  return JSON.parse(JSON.stringify(closure))
}

/** Returns knowledge of the planned image and of images with its first paths, in steps of a ninth. */
function knowledgeOf(closure: Closure): LayerKnowledge {
  const images = Array.from({ length: partialImages }, (_, place): ServedImage => {
    const size = Math.ceil((closure.length * (place + 1)) / (partialImages + 1))
    return { name: `part-${place}`, closure: closure.slice(0, size) }
  })
  const whole = { name: 'whole', closure, plan: planLayers(closure, { budget }) }
  return LayerKnowledge.none.learn([...images, whole])
}

/** Writes a number without digits, which would be read as a version. */
function letters(place: number): string {
  return place.toString(26).replace(/\d/g, (digit) => 'qrstuvwxyz'.charAt(Number(digit)))
}

/** Returns random numbers from 0 to 1 that are the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
