/** Downloads of blobs of three sizes over eight connections, compared with Debian's docker-registry. */
import type { Bench } from './bench.ts'
import { BenchService, bytesText, type Descriptor, manifestPath } from './bench-service.ts'
import { load } from './load.ts'
import { atLeastTimes, type Row, rowOf } from './row.ts'

const connections = 8

/** Seconds of one run. */
const seconds = 1

interface Kind {
  readonly image: string
  /** Approximate bytes of the blob. */
  readonly size: number
  readonly goal: number
}

const kinds: Kind[] = [
  { image: 'blob-70mb', size: 70e6, goal: 1 },
  { image: 'blob-128kb', size: 128e3, goal: 1.5 },
  { image: 'blob-500b', size: 500, goal: 1.5 },
]

export async function measureBlobs(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  await packages.realise(kinds.map(({ image }) => image))
  await using service = await BenchService.start(bench)
  const rows: Row[] = []
  for (const kind of kinds) rows.push(await measureKind(bench, service, kind))
  return rows
}

async function measureKind(bench: Bench, service: BenchService, kind: Kind): Promise<Row> {
  const { image, size, goal } = kind
  const registry = await bench.registry()
  const { manifest } = await service.pull(image)
  await registry.copyFrom(
    service.slipway.registry,
    `${image}:${manifestPath(image).split('/').at(-1)}`,
  )
  const blob = nearest([manifest.config, ...manifest.layers], size)
  // wrk counts whole responses, of which a large blob has few, and bytes including headers, which would
  // dominate for a small blob.
  const isLarge = blob.size > 1e6
  const rate = async (server: string): Promise<number> => {
    const url = `${server}/v2/${image}/blobs/${blob.digest}`
    const result = await load({ url, connections, seconds, signal: bench.signal })
    return isLarge ? result.megabytesPerSecond : result.requestsPerSecond
  }
  const ours: number[] = []
  const theirs: number[] = []
  // Warm up both.
  for (const server of [service.slipway.url, registry.url]) await rate(server)
  await bench.repeat(async () => {
    ours.push(await rate(service.slipway.url))
    theirs.push(await rate(registry.url))
  })
  return rowOf({
    what: `blob of ${bytesText(blob.size)}, ${connections} connections`,
    unit: isLarge ? 'MB/s' : 'requests/s',
    runs: ours,
    peer: { what: 'docker-registry', runs: theirs },
    goal: atLeastTimes(goal),
  })
}

/** Returns the blob whose size is nearest to a number of bytes. */
function nearest(blobs: readonly Descriptor[], bytes: number): Descriptor {
  const distance = ({ size }: Descriptor) => Math.abs(size - bytes)
  return blobs.reduce((best, blob) => (distance(blob) < distance(best) ? blob : best))
}
