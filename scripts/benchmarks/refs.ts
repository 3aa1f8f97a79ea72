/**
 * Compares a repository with many tags with one that has a single tag: start without and with a mirror, time
 * from a webhook to its new tag, resolving a tag, memory.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addedPackages } from '../../service/image/image-name.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { PackageSet } from '../../test/support/package-set.ts'
import { type Slipway, Workspace } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { Client } from './client.ts'
import { residentMemory } from './process-memory.ts'
import { type Row, rowOf, type Unit } from './row.ts'
import { quietSettings, timedStart, webhookOf } from './service.ts'
import { median } from './statistics.ts'
import { TagRepository } from './tag-repository.ts'
import { until } from './until.ts'

const defaultCount = 20_000
/** A small image. */
const image = 'hello'
const lookUps = 100_000
const warmRequests = 1000
/** Milliseconds between checks for a new tag; also the precision of that measurement. */
const checkInterval = 5
/** Milliseconds after which the memory of an idle service is stable. */
const restTime = 1000

/** Figures that are measured for each repository, in the order of the table. */
const figures = [
  ['first start → ready', 'ms'],
  ['start with a mirror → ready', 'ms'],
  ['resident memory after a start', 'MiB'],
  ['webhook → its new tag', 'ms'],
  ['resident memory after the new tag', 'MiB'],
  ['RefTable.resolve, without HTTP', 'µs'],
  [`p50 of ${warmRequests} requests for a warm manifest by tag`, 'ms'],
] as const satisfies [string, Unit][]

type Figures = Record<(typeof figures)[number][0], number[]>

export async function measureRefs(
  bench: Bench,
  [count = String(defaultCount)]: readonly string[],
): Promise<Row[]> {
  if (!/^[1-9]\d{0,6}$/.test(count))
    throw new RangeError(`COUNT="${count}" must be a number of tags, 1 or more`)
  {
    await using packages = await PackageSet.create()
    await bench.cleanup.instantiate(packages.folder, [image, ...addedPackages], bench.signal)
  }
  const one = await measureRepository(bench, 1)
  const many = count === '1' ? undefined : await measureRepository(bench, Number(count))
  return figures.map(([name, unit]) => {
    const what = `${Number(count).toLocaleString('en')} tags: ${name}`
    if (many === undefined) return rowOf({ what, unit, runs: one[name] })
    return rowOf({ what, unit, runs: many[name], peer: { what: 'one tag', runs: one[name] } })
  })
}

async function measureRepository(bench: Bench, count: number): Promise<Figures> {
  const { signal } = bench
  await using repository = await TagRepository.create(count, signal)
  const found = Object.fromEntries(figures.map(([name]) => [name, [] as number[]])) as Figures
  await bench.repeat(async () => {
    await using workspace = await Workspace.create()
    const settings = settingsOf(workspace, repository)
    const first = await timedStart(settings)
    {
      await using _ = first.slipway
      await untilPacked(workspace, signal)
    }
    found['first start → ready'].push(first.milliseconds)
  })

  await using workspace = await Workspace.create()
  const settings = settingsOf(workspace, repository)
  {
    await using _ = (await timedStart(settings)).slipway
    await untilPacked(workspace, signal)
  }
  await bench.repeat(async () => {
    const { slipway, milliseconds } = await timedStart(settings)
    await using _ = slipway
    using client = new Client(slipway.url, 1, signal)
    found['start with a mirror → ready'].push(milliseconds)
    found['resident memory after a start'].push(await memoryAtRest(slipway, client, signal))
  })

  await using slipway = (await timedStart(settings)).slipway
  using client = new Client(slipway.url, 1, signal)
  await memoryAtRest(slipway, client, signal)
  await bench.repeat(async (run) => {
    const time = await findNewTag(repository, client, run, signal)
    found['webhook → its new tag'].push(time)
    // The work that git does after a fetch must not be part of the next measurement.
    await untilPacked(workspace, signal)
    found['resident memory after the new tag'].push(await memoryAtRest(slipway, client, signal))
  })

  const table = await tableOf(repository)
  resolveTime(table, count)
  const manifest = { path: `/v2/${image}/manifests/release-${Math.ceil(count / 2)}` }
  await client.ask(manifest)
  await bench.repeat(async () => {
    found['RefTable.resolve, without HTTP'].push(resolveTime(table, count))
    const warm = await client.repeat(manifest, warmRequests)
    found[`p50 of ${warmRequests} requests for a warm manifest by tag`].push(median(warm))
  })
  await bench.cleanup.noteRoots(workspace.folder)
  return found
}

function settingsOf(workspace: Workspace, { folder }: TagRepository): Record<string, string> {
  return { ...workspace.settings(folder), ...quietSettings }
}

/** Waits until git has packed all tags of the mirror into one file, as it does after a fetch. */
async function untilPacked({ folder }: Workspace, signal: AbortSignal): Promise<void> {
  const mirrors = join(folder, 'state/mirrors')
  const [name = ''] = await readdir(mirrors)
  await until('tags in one file', 50, signal, async () => {
    const loose = await readdir(join(mirrors, name, 'refs/tags')).catch(() => [])
    return loose.length === 0 || undefined
  })
}

/** Waits until the service is idle after a start or fetch. Returns its resident memory in MiB. */
async function memoryAtRest(
  slipway: Slipway,
  client: Client,
  signal: AbortSignal,
): Promise<number> {
  await until('the first fetch', checkInterval, signal, async () => {
    const { body } = await client.ask({ path: '/readyz' })
    return (JSON.parse(body) as { source: { refreshedAt?: string } }).source.refreshedAt
  })
  await sleep(restTime, undefined, { signal })
  return residentMemory(slipway.pid)
}

/**
 * Returns the milliseconds from the webhook until the new tag is known. Checks the list of tags, which comes
 * from the same ref table as pulls; a pull of the unknown tag would start another fetch.
 * @param number number of the new tag, one more than that of the previous one
 */
async function findNewTag(
  repository: TagRepository,
  client: Client,
  number: number,
  signal: AbortSignal,
): Promise<number> {
  const tag = `release-new-${number}`
  await repository.release(tag)
  const query = new URLSearchParams({ n: '1', last: `release-new-${number - 1}` })
  const started = performance.now()
  await client.ask(webhookOf(`refs/tags/${tag}`), 202)
  await until(tag, checkInterval, signal, async () => {
    const { body } = await client.ask({ path: `/v2/${image}/tags/list?${query}` })
    return (JSON.parse(body) as { tags: string[] }).tags.includes(tag) || undefined
  })
  return performance.now() - started
}

/** Returns the ref table that the service has of the repository. */
async function tableOf(repository: TagRepository): Promise<RefTable> {
  const listed = await repository.git('for-each-ref', '--format=%(refname) %(objectname)')
  const refs = listed.split('\n').map((line) => line.split(' ') as [string, string])
  return new RefTable(refs, 'refs/heads/main')
}

/** Returns the microseconds of a call of `RefTable.resolve` in this process. */
function resolveTime(table: RefTable, count: number): number {
  const started = performance.now()
  for (let index = 0; index < lookUps; index += 1) {
    // The stride visits all tags in an order that defeats CPU caches.
    const tag = `release-${1 + ((index * 7919) % count)}`
    if (table.resolve(tag) === undefined) throw new Error(`${tag} is not in the ref table`)
  }
  return ((performance.now() - started) * 1000) / lookUps
}
