/** Start with warm state until the first manifest, compared with a Node that only loads koa. */
import { once } from 'node:events'
import { request } from 'node:http'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../test/support/free-port.ts'
import { spawnStart } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { BenchService, manifestPath, settingsOf, warmUp } from './bench-service.ts'
import { run } from './processes.ts'
import { atMostTimes, type Row, rowOf } from './row.ts'

const root = resolve(import.meta.dirname, '../..')
/** Milliseconds between two requests; also the precision of this benchmark. */
const interval = 2
/** Milliseconds until a service that does not answer counts as failed. */
const startLimit = 30_000
/** More starts in each run, because they are short. */
const startsPerRun = 3

export async function measureStartup(bench: Bench): Promise<Row[]> {
  await using service = await BenchService.start(bench)
  // From here on the state is warm: it has a mirror, compiled code and a stored image.
  await service.slipway.stop()
  const ours: number[] = []
  const theirs: number[] = []
  await bench.repeat(async () => {
    for (let start = 1; start <= startsPerRun; start += 1) {
      ours.push(await startTime(bench, service.storage))
      theirs.push(await loadKoa(bench))
    }
  })
  return [
    rowOf({
      what: 'start with warm state until the first manifest by tag',
      unit: 'ms',
      runs: ours,
      peer: { what: 'node -e "import \'koa\'"', runs: theirs },
      goal: atMostTimes(4),
    }),
  ]
}

async function startTime(bench: Bench, storage: string): Promise<number> {
  const port = await freePort()
  const settings = await settingsOf(bench, { STORAGE_PATH: storage, PORT: String(port) })
  const started = performance.now()
  const child = spawnStart(settings)
  child.stdout.resume()
  child.stderr.resume()
  const ended = once(child, 'close')
  try {
    const path = manifestPath(warmUp)
    while ((await statusOf(port, path)) !== 200) {
      bench.signal.throwIfAborted()
      if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode}`)
      if (performance.now() - started > startLimit) throw new Error('the service does not answer')
      await sleep(interval)
    }
    return performance.now() - started
  } finally {
    child.kill()
    await ended
  }
}

/** Returns the status of the response; undefined without a connection. */
function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', () => resolve(undefined))
    })
      .on('error', () => resolve(undefined))
      .end()
  })
}

async function loadKoa({ signal }: Bench): Promise<number> {
  const started = performance.now()
  await run(process.execPath, ['--input-type=module', '-e', "import 'koa'"], { signal, cwd: root })
  return performance.now() - started
}
