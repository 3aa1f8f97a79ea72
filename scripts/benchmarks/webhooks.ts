/** Response times of webhooks while the fetch that they request hangs. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PackageSet } from '../../test/support/package-set.ts'
import { silentServer } from '../../test/support/silent-server.ts'
import { Slipway, Workspace } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { Client, type Request } from './client.ts'
import { type Row, rowOf } from './row.ts'
import { quietSettings, webhookOf } from './service.ts'
import { percentile } from './statistics.ts'
import { until } from './until.ts'

const count = 1000
const connections = 8

/** p99 in milliseconds of each run. */
interface Waits {
  /** Webhooks to a process that has just started, whose code is not compiled yet. */
  readonly first: number[]
  readonly next: number[]
  /** Requests with the least possible work. */
  readonly probes: number[]
}

export async function measureWebhooks(bench: Bench): Promise<Row[]> {
  await using packages = await PackageSet.create()
  const waits: Waits = { first: [], next: [], probes: [] }
  await bench.repeat(async () => measureOnce(packages, waits, bench.signal))
  const peer = { what: `${count} × /healthz right after`, runs: waits.probes }
  return (['first', 'next'] as const).map((which) =>
    rowOf({
      what: `p99 of the ${which} ${count} webhooks over ${connections} connections while a fetch hangs`,
      unit: 'ms',
      runs: waits[which],
      peer,
    }),
  )
}

async function measureOnce(packages: PackageSet, waits: Waits, signal: AbortSignal): Promise<void> {
  await using workspace = await Workspace.create()
  await using silent = await silentServer()
  const gitConfig = join(workspace.folder, 'gitconfig')
  const settings = {
    ...workspace.settings(packages.folder),
    ...quietSettings,
    GIT_CONFIG_GLOBAL: gitConfig,
  }
  await writeFile(gitConfig, '')
  await (await Slipway.start(settings)).stop()
  // Git's configuration redirects the same URL, so that the mirror is kept, to a server that never answers.
  const remote = `git://127.0.0.1:${silent.port}/`
  await writeFile(gitConfig, `[url "${remote}"]\n\tinsteadOf = ${packages.folder}\n`)
  await using slipway = await Slipway.start(settings)
  await until('a hanging fetch', 10, signal, () => silent.connections() > 0 || undefined)

  using client = new Client(slipway.url, connections, signal)
  const webhook = webhookOf('refs/tags/release-v3')
  const p99 = async (request: Request, expected: number) =>
    percentile(await askAtOnce(client, request, expected), 0.99)
  waits.first.push(await p99(webhook, 202))
  waits.next.push(await p99(webhook, 202))
  if (silent.connections() === 0) throw new Error('the fetch ended during the measurement')
  waits.probes.push(await p99({ path: '/healthz' }, 200))
}

/** Sends `count` requests. Returns the milliseconds of each response. */
async function askAtOnce(client: Client, request: Request, expected: number): Promise<number[]> {
  const times: number[] = []
  let left = count
  const ask = async () => {
    while (left > 0) {
      left -= 1
      times.push((await client.ask(request, expected)).milliseconds)
    }
  }
  await Promise.all(Array.from({ length: connections }, ask))
  return times
}
