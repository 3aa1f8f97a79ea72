/**
 * What a package set with many tags costs, beside one with a single tag: starting without and with a
 * mirror, finding a new tag after its webhook, resolving a tag, memory.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { RefTable } from '../../service/domain/ref-table.ts'
import { type Slipway, Workspace } from '../../test/support/slipway.ts'
import { Client } from './client.ts'
import { residentMemory } from './process-memory.ts'
import { quietSettings, timedStart, webhookOf } from './service.ts'
import { median } from './statistics.ts'
import type { Table } from './table.ts'
import { TagRepository } from './tag-repository.ts'
import { until } from './until.ts'

const defaultCount = 20_000
/** Starts of each kind. */
const starts = 3
const newTags = 5
const lookUps = 100_000
const warmRequests = 1000
/** Milliseconds between looks for a new tag: the precision of that measurement. */
const lookInterval = 5
/** Milliseconds after which a service with nothing to do is at rest. */
const rest = 1000

export async function measureRefs(
  [count = String(defaultCount)]: readonly string[],
  signal: AbortSignal,
): Promise<Table> {
  if (!/^[1-9]\d{0,6}$/.test(count)) throw new RangeError(`COUNT="${count}" is no number of tags`)
  const rows = [await measureRepository(1, signal)]
  if (count !== '1') rows.push(await measureRepository(Number(count), signal))
  return {
    header: [
      'tags',
      'first start → ready ms',
      'start with mirror → ready ms',
      'webhook → new tag ms',
      'resolve in process µs',
      'warm manifest by tag p50 ms',
      'resident after start MiB',
      `resident after ${newTags} fetches MiB`,
    ],
    rows,
  }
}

async function measureRepository(count: number, signal: AbortSignal): Promise<string[]> {
  await using repository = await TagRepository.create(count, signal)
  const resolve = await resolveTime(repository, count)
  const firstStarts: number[] = []
  for (let start = 1; start < starts; start += 1) {
    await using workspace = await Workspace.create()
    firstStarts.push(await startAndStop(settingsOf(workspace, repository)))
  }
  await using workspace = await Workspace.create()
  const settings = settingsOf(workspace, repository)
  firstStarts.push(await startAndStop(settings, () => tidied(workspace, signal)))
  const restarts: number[] = []
  for (let start = 1; start < starts; start += 1) restarts.push(await startAndStop(settings))
  const last = await timedStart(settings)
  await using slipway = last.slipway
  restarts.push(last.milliseconds)

  using client = new Client(slipway.url, 1, signal)
  const atRest = await memoryAtRest(slipway, client, signal)
  const found = await findNewTags(repository, client, () => tidied(workspace, signal), signal)
  const afterFetches = await memoryAtRest(slipway, client, signal)
  const manifest = { path: `/v2/hello/manifests/release-${Math.ceil(count / 2)}` }
  await client.ask(manifest)
  const warm = await client.askAgain(manifest, warmRequests)
  return [
    String(count),
    median(firstStarts).toFixed(0),
    median(restarts).toFixed(0),
    median(found).toFixed(0),
    resolve.toFixed(2),
    median(warm).toFixed(2),
    atRest.toFixed(0),
    afterFetches.toFixed(0),
  ]
}

function settingsOf(workspace: Workspace, { folder }: TagRepository): Record<string, string> {
  return { ...workspace.settings(folder), ...quietSettings }
}

/** @param before what is waited for before it is stopped */
async function startAndStop(
  settings: Record<string, string>,
  before = async () => {},
): Promise<number> {
  const { slipway, milliseconds } = await timedStart(settings)
  await using _ = slipway
  await before()
  return milliseconds
}

/** Waits until the mirror is as git keeps it in the long run: all tags in one file. */
async function tidied({ folder }: Workspace, signal: AbortSignal): Promise<void> {
  const mirrors = join(folder, 'state/mirrors')
  const [name = ''] = await readdir(mirrors)
  await until('tags in one file', 50, signal, async () => {
    const loose = await readdir(join(mirrors, name, 'refs/tags')).catch(() => [])
    return loose.length === 0 || undefined
  })
}

/** Mebibytes, when what a start or a fetch entails is over. */
async function memoryAtRest(
  slipway: Slipway,
  client: Client,
  signal: AbortSignal,
): Promise<number> {
  await until('the first fetch', lookInterval, signal, async () => {
    const { body } = await client.ask({ path: '/readyz' })
    return (JSON.parse(body) as { source: { refreshedAt?: string } }).source.refreshedAt
  })
  await sleep(rest, undefined, { signal })
  return residentMemory(slipway.pid)
}

/**
 * Milliseconds from the webhook until the new tag is known. Asked for with the list of tags, which
 * comes from the table that pulls resolve with: a pull would have the service fetch once more.
 */
async function findNewTags(
  repository: TagRepository,
  client: Client,
  tidy: () => Promise<void>,
  signal: AbortSignal,
): Promise<number[]> {
  const times: number[] = []
  for (let index = 1; index <= newTags; index += 1) {
    const tag = `release-new-${index}`
    await repository.release(tag)
    const query = new URLSearchParams({ n: '1', last: `release-new-${index - 1}` })
    const started = performance.now()
    await client.ask(webhookOf(`refs/tags/${tag}`), 202)
    await until(tag, lookInterval, signal, async () => {
      const { body } = await client.ask({ path: `/v2/hello/tags/list?${query}` })
      return (JSON.parse(body) as { tags: string[] }).tags.includes(tag) || undefined
    })
    times.push(performance.now() - started)
    // What is done after a fetch belongs to none of the times.
    await tidy()
    await sleep(rest / 2, undefined, { signal })
  }
  return times
}

/** Microseconds of `RefTable.resolve`, called in this process, without HTTP and the service. */
async function resolveTime(repository: TagRepository, count: number): Promise<number> {
  const listed = await repository.git('for-each-ref', '--format=%(refname) %(objectname)')
  const refs = listed.split('\n').map((line) => line.split(' ') as [string, string])
  const table = new RefTable(refs, 'refs/heads/main')
  const resolveAll = (times: number): void => {
    for (let index = 0; index < times; index += 1) {
      // A stride that visits all tags, in no order that a cache could guess.
      const tag = `release-${1 + ((index * 7919) % count)}`
      if (table.resolve(tag) === undefined) throw new Error(`${tag} is not in the table`)
    }
  }
  resolveAll(lookUps)
  const started = performance.now()
  resolveAll(lookUps)
  return ((performance.now() - started) * 1000) / lookUps
}
