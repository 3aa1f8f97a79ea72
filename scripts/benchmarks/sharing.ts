/**
 * Measures the cold pull of a second image that shares layers with a first. Shared layers must not be read,
 * hashed or compressed again: their blob files stay untouched, only new layers are packed, and the service and
 * Nix together read fewer bytes than the shared layers have.
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

  const repacked: number[] = []
  const megabytesRead: number[] = []
  const milliseconds: number[] = []
  const sharedBytes: number[] = []
  for (const image of seconds) {
    const before = await filesOf(service, known.manifest.layers)
    const packedBefore = await packedLayers(service)
    const { manifest, own, read: readBytes } = await read(image)
    const after = await filesOf(service, known.manifest.layers)
    const shared = manifest.layers.filter(({ digest }) => knownDigests.has(digest))
    const rewritten = shared.filter(({ digest }) => before.get(digest) !== after.get(digest))
    const packed = (await packedLayers(service)) - packedBefore
    const surplus = packed - (manifest.layers.length - shared.length)
    // The metric does not say which layer was packed again, so it counts as the largest.
    const largest = Math.max(...shared.map(({ size }) => size))
    repacked.push(rewritten.reduce((sum, { size }) => sum + size, 0) + surplus * largest)
    megabytesRead.push(readBytes)
    milliseconds.push(own)
    sharedBytes.push(shared.reduce((sum, { size }) => sum + size, 0))
  }
  const whole = `of ${bytesText(sizeOf(known.manifest))}, ${known.manifest.layers.length} layers`
  return [
    rowOf({
      what: `second image, ${bytesText(Math.min(...sharedBytes))} ${whole} shared: bytes packed again`,
      unit: 'bytes',
      runs: repacked,
      goal: alwaysAtMost(0, 'none'),
    }),
    rowOf({
      what: 'second image: read by the service and by Nix',
      unit: 'MB',
      runs: megabytesRead,
      peer: {
        what: `the first image (${bytesText(realised.bytes)})`,
        runs: seconds.map(() => known.read),
      },
    }),
    rowOf({
      what: "second image: cold pull, without Nix's own time",
      unit: 'ms',
      runs: milliseconds,
      peer: { what: 'the first image', runs: seconds.map(() => known.own) },
    }),
  ]
}

/** Returns for each digest a text that changes when the blob's file is written again or replaced. */
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

/** Returns how many layers the service has packed so far, from its metrics. */
async function packedLayers({ client }: BenchService): Promise<number> {
  const { body } = await client.ask({ path: '/metrics' })
  const [, count] = /^slipway_layers_total\{outcome="packed"\} (\d+)$/m.exec(body) ?? []
  if (count === undefined) throw new Error('/metrics has no number of packed layers')
  return Number(count)
}
