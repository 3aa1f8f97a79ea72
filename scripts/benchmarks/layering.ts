/**
 * Compares layer plans by the bytes that clients download and the registry stores. Slipway's planner cuts four
 * releases of the same images; `evaluate.py` beside the releases scores its plans and those of other schemes.
 *
 *     r1 ──learn──► plans of r1 ──learn──► plans of r2-leaf, r3-library, r4-security
 *
 * The images of r1 are learned together before they are planned, as in the first release of a registry. Each
 * later release is planned with the knowledge after r1. `plans-alone.json` has plans without any knowledge.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Closure, PathInfo, Plan, StorePath } from '../../service/closure/closure.ts'
import { LayerKnowledge } from '../../service/layering/layer-knowledge.ts'
import { planLayers } from '../../service/layering/plan-layers.ts'
import { benchFolder } from './bench.ts'
import { run } from './processes.ts'
import type { Table } from './table.ts'

const defaultPart = 'a'
const releases = ['r1', 'r2-leaf', 'r3-library', 'r4-security'] as const
/** Layers of store paths in an image of 94 layers: one layer is the link farm. */
const budget = 93

/** Most milliseconds for `evaluate.py`, which usually takes some seconds. */
const scoringTime = 120_000

/** Closures and plans by image name. */
type Images = Readonly<Record<string, Closure>>
/** Image → plan. */
type Plans = Readonly<Record<string, Plan>>
type Release = (typeof releases)[number]
type Releases<T> = Readonly<Record<Release, T>>

/** @param args folder of the graphs and of `evaluate.py`; prefix of the graphs' names before the release */
export async function measureLayering([
  folder,
  part = defaultPart,
]: readonly string[]): Promise<Table> {
  if (folder === undefined) throw new Error('name the folder of the release graphs')
  const images = await eachRelease((release) => readImages(folder, `${part}-${release}`))
  const known = await plansWithKnowledge(images)
  const alone = await eachRelease((release) => plansOf(images[release], LayerKnowledge.none))
  const files = { 'plans.json': known, 'plans-alone.json': alone }
  await mkdir(benchFolder, { recursive: true })
  const paths: string[] = []
  for (const [name, plans] of Object.entries(files)) {
    const path = join(benchFolder, name)
    await writeFile(path, JSON.stringify(plans))
    paths.push(path)
  }
  const scores = await run('python3', [join(folder, 'evaluate.py'), folder, part, ...paths], {
    signal: AbortSignal.timeout(scoringTime),
  })
  return tableOf(scores, files)
}

async function eachRelease<T>(make: (release: Release) => T): Promise<Releases<Awaited<T>>> {
  const made: [string, Awaited<T>][] = []
  for (const release of releases) made.push([release, await make(release)])
  return Object.fromEntries(made) as Releases<Awaited<T>>
}

async function readImages(folder: string, name: string): Promise<Images> {
  const { nodes, images } = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as {
    nodes: PathInfo[]
    images: Record<string, StorePath[]>
  }
  const infos = new Map(nodes.map((info) => [info.path, info]))
  return mapValues(images, (roots) => {
    const paths = new Set(roots)
    for (const path of paths) {
      for (const reference of infos.get(path)?.references ?? []) paths.add(reference)
    }
    return [...paths].map((path) => infos.get(path) as PathInfo)
  })
}

async function plansWithKnowledge(images: Releases<Images>): Promise<Releases<Plans>> {
  const before = learn(LayerKnowledge.none, images.r1)
  const r1 = plansOf(images.r1, before)
  const after = learn(before, images.r1, r1)
  return { ...(await eachRelease((release) => plansOf(images[release], after))), r1 }
}

function learn(knowledge: LayerKnowledge, images: Images, plans: Plans = {}): LayerKnowledge {
  return knowledge.learn(
    Object.entries(images).map(([name, closure]) => {
      const plan = plans[name]
      return plan === undefined ? { name, closure } : { name, closure, plan }
    }),
  )
}

function plansOf(images: Images, knowledge: LayerKnowledge): Plans {
  return mapValues(images, (closure) => planLayers(closure, { budget, knowledge }))
}

/** Returns the scores; adds for Slipway's plans the mean number of layers and the excess over the floor. */
function tableOf(scores: string, files: Readonly<Record<string, Releases<Plans>>>): Table {
  const [header = [], ...rows] = scores
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const floor = rows.find(([name]) => name === 'paths') ?? []
  const excess = rows
    .filter(([name = '']) => Object.hasOwn(files, name))
    .map(([name, ...figures]) => [
      `${name}: over paths`,
      ...figures.map((figure, column) => {
        if (['layers', 'mean'].includes(header[column + 1] ?? '')) return ''
        return `+${(100 * (Number(figure) / Number(floor[column + 1]) - 1)).toFixed(2)}%`
      }),
      '',
    ])
  const withMeans = rows.map((row) => {
    const plans = files[row[0] ?? '']
    return [...row, plans === undefined ? '' : meanOfLayers(plans).join(' ')]
  })
  return {
    header: [...header, `mean layers ${releases.join(' ')}`],
    rows: [...withMeans, ...excess],
  }
}

function meanOfLayers(plans: Releases<Plans>): string[] {
  return releases.map((release) => {
    const counts = Object.values(plans[release]).map((plan) => plan.length)
    return (counts.reduce((sum, count) => sum + count, 0) / counts.length).toFixed(1)
  })
}

function mapValues<T, U>(
  values: Readonly<Record<string, T>>,
  map: (value: T) => U,
): Readonly<Record<string, U>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))
}
