/** Measures the peak memory of the service while it packs 1 GB, and while many clients read a blob of 1 GB slowly. */
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import { BenchService, bytesText } from './bench-service.ts'
import { peakMemory } from './process-memory.ts'
import { alwaysUnder, type Row, rowOf } from './row.ts'
import { SlowReaders } from './slow-readers.ts'

const image = 'gigabyte-a'
const readers = 200
/** Milliseconds that the clients read. */
const readingTime = 2000
const limit = alwaysUnder(200, 'MB')

export async function measureMemory(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const { [image]: realised } = await packages.realise([image])
  return [
    rowOf({
      what: `peak resident memory of the service while it packs ${bytesText(realised.bytes)}`,
      unit: 'MB',
      runs: await whilePacking(bench),
      goal: limit,
    }),
    await whileReading(bench),
  ]
}

async function whilePacking(bench: Bench): Promise<number[]> {
  const peaks: number[] = []
  await bench.repeat(async () => {
    await using service = await BenchService.start(bench)
    await service.pull(image)
    peaks.push(await peakMegabytes(service))
  })
  return peaks
}

async function whileReading(bench: Bench): Promise<Row> {
  // One layer with all store paths, and the layer of the link farm.
  const settings = { SLIPWAY_COMPRESSION: 'none', SLIPWAY_LAYER_BUDGET: '2' }
  await using service = await BenchService.start(bench, settings)
  const { manifest } = await service.pull(image)
  const blob = manifest.layers.reduce((a, b) => (a.size > b.size ? a : b))
  const url = `${service.slipway.url}/v2/${image}/blobs/${blob.digest}`
  const peaks: number[] = []
  await bench.repeat(async () => {
    await resetPeak(service)
    using _ = await SlowReaders.start(url, readers, bench.signal)
    await sleep(readingTime, undefined, { signal: bench.signal })
    peaks.push(await peakMegabytes(service))
  })
  return rowOf({
    what: `peak resident memory while ${readers} clients read a blob of ${bytesText(blob.size)} slowly`,
    unit: 'MB',
    runs: peaks,
    goal: limit,
  })
}

/** Returns the peak in units of 10⁶ bytes. */
async function peakMegabytes({ slipway }: BenchService): Promise<number> {
  return ((await peakMemory(slipway.pid)) * 2 ** 20) / 1e6
}

/**
 * Resets the peak to the current memory.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
 */
async function resetPeak({ slipway }: BenchService): Promise<void> {
  await writeFile(`/proc/${slipway.pid}/clear_refs`, '5')
}
