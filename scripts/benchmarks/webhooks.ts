/** How long the sender of a webhook waits for its answer while the fetch that it asks for hangs. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PackageSet } from '../../test/support/package-set.ts'
import { silentServer } from '../../test/support/silent-server.ts'
import { Slipway, Workspace } from '../../test/support/slipway.ts'
import { Client, type Question } from './client.ts'
import { quietSettings, webhookOf } from './service.ts'
import { median, percentile } from './statistics.ts'
import type { Table } from './table.ts'
import { until } from './until.ts'

const count = 1000
const connections = 8

export async function measureWebhooks(_: readonly string[], signal: AbortSignal): Promise<Table> {
  await using packages = await PackageSet.create()
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
  // The same URL, which the mirror belongs to, leads git to a server that says nothing.
  const remote = `git://127.0.0.1:${silent.port}/`
  await writeFile(gitConfig, `[url "${remote}"]\n\tinsteadOf = ${packages.folder}\n`)
  await using slipway = await Slipway.start(settings)
  await until('a fetch that hangs', 10, signal, () => silent.connections() > 0 || undefined)

  using client = new Client(slipway.url, connections, signal)
  const webhook = webhookOf('refs/tags/release-v3')
  const first = await askAtOnce(client, webhook, 202)
  const next = await askAtOnce(client, webhook, 202)
  if (silent.connections() === 0) throw new Error('the fetch did not hang all the time')
  const probes = await askAtOnce(client, { path: '/healthz' }, 200)
  return {
    header: [`${count} answers, ${connections} connections`, 'p50 ms', 'p99 ms', 'most ms'],
    rows: [
      // Of a process that has just started: its code is not compiled yet.
      ['webhook while a fetch hangs, the first', ...cellsOf(first)],
      ['webhook while a fetch hangs, the next', ...cellsOf(next)],
      // What the least of answers takes on this machine at this time.
      ['/healthz, right after', ...cellsOf(probes)],
    ],
  }
}

/** Milliseconds of each answer. */
async function askAtOnce(client: Client, question: Question, expected: number): Promise<number[]> {
  const times: number[] = []
  let left = count
  const ask = async () => {
    while (left > 0) {
      left -= 1
      times.push((await client.ask(question, expected)).milliseconds)
    }
  }
  await Promise.all(Array.from({ length: connections }, ask))
  return times
}

function cellsOf(times: readonly number[]): string[] {
  return [median(times), percentile(times, 0.99), Math.max(...times)].map((time) => time.toFixed(1))
}
