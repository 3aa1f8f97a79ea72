/** Response times of a warm manifest while the service packs two images of 1 GB. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { BenchService, bytesText, manifestPath, warmUp } from './bench-service.ts'
import { type Row, rowOf, under } from './row.ts'
import { percentile } from './statistics.ts'

const images = ['gigabyte-a', 'gigabyte-b'] as const
/** Milliseconds between the starts of requests, independent of their responses: 200 a second. */
const interval = 5
/** Milliseconds of the same requests to an idle service. */
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
    // Ends with the first build, so that both builds run all the time.
    const times = await askUntil(service, Promise.race(pulls))
    busy.push(percentile(times, 0.99))
    requests = times.length
    await Promise.all(pulls)
  })
  const bytes = bytesText(realised['gigabyte-a'].bytes)
  return [
    rowOf({
      what: `p99 of a warm manifest at 200 requests/s while two images of ${bytes} are packed (${requests} requests)`,
      unit: 'ms',
      runs: busy,
      peer: { what: 'the same while idle', runs: idle },
      goal: under(25, 'ms'),
    }),
  ]
}

/** Sends requests at fixed times until `end`. Returns the milliseconds of each response. */
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
