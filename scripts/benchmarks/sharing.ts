/**
 * A second image that shares its layers with a first. Of what they share no byte is read, hashed or
 * compressed again: the files of these blobs stay as they are, nothing but the new layers is packed, and
 * the service and Nix together read less than these layers hold.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { BenchService, bytesText, type Descriptor, sizeOf } from './bench-service.ts'
import { bytesRead } from './process-times.ts'
import { alwaysAtMost, type Row, rowOf } from './row.ts'

const first = 'libraries'

export async function measureSharing(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const seconds = Array.from({ length: bench.runs }, (_, index) => `${first}-${index + 1}`)
  const { [first]: realised } = await packages.realise([first])
  await packages.realise(seconds)
  await using service = await BenchService.start(bench)
  const { pid } = service.slipway
  const read = async (image: string) => {
    const before = await bytesRead(pid)
    const pull = await service.pull(image)
    return { ...pull, read: ((await bytesRead(pid)) - before) / 1e6 }
  }
  const known = await read(first)
  const knownDigests = new Set(known.manifest.layers.map(({ digest }) => digest))

  const again: number[] = []
  const reads: number[] = []
  const times: number[] = []
  const shares: number[] = []
  for (const image of seconds) {
    const before = await filesOf(service, known.manifest.layers)
    const packedBefore = await packedLayers(service)
    const { manifest, own, read: readBytes } = await read(image)
    const after = await filesOf(service, known.manifest.layers)
    const shared = manifest.layers.filter(({ digest }) => knownDigests.has(digest))
    const rewritten = shared.filter(({ digest }) => before.get(digest) !== after.get(digest))
    const packed = (await packedLayers(service)) - packedBefore
    const surplus = packed - (manifest.layers.length - shared.length)
    // Which layer a surplus one is nobody tells: it counts as the largest.
    const largest = Math.max(...shared.map(({ size }) => size))
    again.push(rewritten.reduce((sum, { size }) => sum + size, 0) + surplus * largest)
    reads.push(readBytes)
    times.push(own)
    shares.push(shared.reduce((sum, { size }) => sum + size, 0))
  }
  const whole = `of ${bytesText(sizeOf(known.manifest))}, ${known.manifest.layers.length} layers`
  return [
    rowOf({
      what: `a second image, ${bytesText(Math.min(...shares))} ${whole} shared: bytes of these packed again`,
      unit: 'bytes',
      runs: again,
      goal: alwaysAtMost(0, 'none'),
    }),
    rowOf({
      what: 'read for it by the service and by Nix',
      unit: 'MB',
      runs: reads,
      peer: {
        what: `the first image (${bytesText(realised.bytes)})`,
        runs: seconds.map(() => known.read),
      },
    }),
    rowOf({
      what: "its cold pull, without Nix's own time",
      unit: 'ms',
      runs: times,
      peer: { what: 'the first image', runs: seconds.map(() => known.own) },
    }),
  ]
}

/** By digest, what changes when the file of a blob is written again or replaced. */
async function filesOf(
  { storage }: BenchService,
  layers: readonly Descriptor[],
): Promise<Map<string, string>> {
  const files = layers.map(async ({ digest }) => {
    const [algorithm = '', hex = ''] = digest.split(':')
    const { ino, mtimeNs } = await stat(join(storage, 'blobs', algorithm, hex), { bigint: true })
    return [digest, `${ino} ${mtimeNs}`] as const
  })
  return new Map(await Promise.all(files))
}

/** How many layers the service has packed so far, by its own count. */
async function packedLayers({ client }: BenchService): Promise<number> {
  const { body } = await client.ask({ path: '/metrics' })
  const [, count] = /^slipway_layers_total\{outcome="packed"\} (\d+)$/m.exec(body) ?? []
  if (count === undefined) throw new Error('/metrics tells no number of packed layers')
  return Number(count)
}
