/** How long a warm manifest takes while the service packs two images of 1 GB. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { BenchService, bytesText, manifestPath, warmUp } from './bench-service.ts'
import { type Row, rowOf, under } from './row.ts'
import { percentile } from './statistics.ts'

const images = ['gigabyte-a', 'gigabyte-b'] as const
/** Milliseconds from one request to the next, however long the answers take: 200 a second. */
const interval = 5
/** Milliseconds of the same requests to a service with nothing else to do. */
const idleTime = 1500

export async function measureBusy(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const realised = await packages.realise(images)
  const busy: number[] = []
  const idle: number[] = []
  let requests = 0
  await bench.repeat(async () => {
    await using service = await BenchService.start(bench)
    const rest = sleep(idleTime, undefined, { signal: bench.signal })
    idle.push(percentile(await askUntil(service, rest), 0.99))
    const pulls = images.map((image) => service.pull(image))
    // As long as both are being built.
    const times = await askUntil(service, Promise.race(pulls))
    busy.push(percentile(times, 0.99))
    requests = times.length
    await Promise.all(pulls)
  })
  const bytes = bytesText(realised['gigabyte-a'].bytes)
  return [
    rowOf({
      what: `warm manifest, 200 requests/s, while two images of ${bytes} are being packed (${requests} requests): p99`,
      unit: 'ms',
      runs: busy,
      peer: { what: 'nothing else to do', runs: idle },
      goal: under(25, 'ms'),
    }),
  ]
}

/** Milliseconds of each answer, to requests that begin at fixed times. */
async function askUntil({ client }: BenchService, end: Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  const answers: Promise<void>[] = []
  const ask = async () => {
    times.push((await client.ask({ path: manifestPath(warmUp) })).milliseconds)
  }
  const timer = setInterval(() => answers.push(ask()), interval)
  try {
    await end
  } finally {
    clearInterval(timer)
    await Promise.allSettled(answers)
  }
  await Promise.all(answers)
  return times
}
