/** Simultaneous cold pulls: of one image, which is built once for all clients, and of different images. */

import { availableParallelism } from 'node:os'
import type { Bench } from './bench.ts'
import { BenchService, bytesText, manifestPath } from './bench-service.ts'
import { Client } from './client.ts'
import { cpuTime } from './process-times.ts'
import { atMostTimes, type Row, rowOf } from './row.ts'

const clients = 16
const images = Array.from({ length: 8 }, (_, index) => `image-${index}`)

export async function measureClients(bench: Bench): Promise<Row[]> {
  return [await oneImage(bench), await differentImages(bench)]
}

async function oneImage(bench: Bench): Promise<Row> {
  const packages = await bench.packages()
  const { libraries } = await packages.realise(['libraries'])
  const many: number[] = []
  const one: number[] = []
  await bench.repeat(async () => {
    many.push(
      await pullAtOnce(
        bench,
        Array.from({ length: clients }, () => 'libraries'),
      ),
    )
    one.push(await pullAtOnce(bench, ['libraries']))
  })
  return rowOf({
    what: `cold pull of one image (${bytesText(libraries.bytes)}) by ${clients} clients, until the last has it`,
    unit: 'ms',
    runs: many,
    peer: { what: 'one client', runs: one },
    goal: atMostTimes(1.1),
  })
}

/**
 * Compares with the CPU time of the service and its children for the same images, built one after the other.
 */
async function differentImages(bench: Bench): Promise<Row> {
  const packages = await bench.packages()
  const realised = await packages.realise(images)
  const atOnce: number[] = []
  const work: number[] = []
  const cores = availableParallelism()
  await bench.repeat(async () => {
    atOnce.push(await pullAtOnce(bench, images))
    await using service = await BenchService.start(bench)
    const before = await cpuTime(service.slipway.pid)
    for (const image of images) await service.pull(image)
    work.push(((await cpuTime(service.slipway.pid)) - before) / cores)
  })
  const bytes = Object.values(realised).reduce((sum, image) => sum + image.bytes, 0)
  return rowOf({
    what: `simultaneous cold pulls of ${images.length} different images (${bytesText(bytes)} in total), until the last is done`,
    unit: 'ms',
    runs: atOnce,
    peer: { what: `CPU time of the same pulls one by one, divided by ${cores} cores`, runs: work },
    goal: atMostTimes(1.2),
  })
}

/**
 * Returns the milliseconds until all manifests are there, each pulled over its own connection from a new
 * service.
 */
async function pullAtOnce(bench: Bench, pulled: readonly string[]): Promise<number> {
  await using service = await BenchService.start(bench)
  using client = new Client(service.slipway.url, pulled.length, bench.signal)
  const started = performance.now()
  await Promise.all(pulled.map((image) => client.ask({ path: manifestPath(image) })))
  return performance.now() - started
}
