/** Blobs of three sizes over eight connections, beside Debian's docker-registry with the same blobs. */
import type { Bench } from './bench.ts'
import { BenchService, bytesText, type Descriptor, manifestPath } from './bench-service.ts'
import { load } from './load.ts'
import { atLeastTimes, type Row, rowOf } from './row.ts'

const connections = 8

/** Of one run. */
const seconds = 1

interface Kind {
  readonly image: string
  /** Bytes that the blob should have, more or less. */
  readonly about: number
  readonly goal: number
}

const kinds: Kind[] = [
  { image: 'blob-70mb', about: 70e6, goal: 1 },
  { image: 'blob-128kb', about: 128e3, goal: 1.5 },
  { image: 'blob-500b', about: 500, goal: 1.5 },
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
  const { image, about, goal } = kind
  const registry = await bench.registry()
  const { manifest } = await service.pull(image)
  await registry.take(service.slipway.registry, `${image}:${manifestPath(image).split('/').at(-1)}`)
  const blob = nearest([manifest.config, ...manifest.layers], about)
  // Of a large blob wrk sees few whole answers, but all bytes; of a small one the headers would count, too.
  const isLarge = blob.size > 1e6
  const rate = async (server: string): Promise<number> => {
    const url = `${server}/v2/${image}/blobs/${blob.digest}`
    const found = await load({ url, connections, seconds, signal: bench.signal })
    return isLarge ? found.megabytesPerSecond : found.requestsPerSecond
  }
  const ours: number[] = []
  const theirs: number[] = []
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

/** The blob whose size is nearest to the number of bytes. */
function nearest(blobs: readonly Descriptor[], bytes: number): Descriptor {
  const distance = ({ size }: Descriptor) => Math.abs(size - bytes)
  return blobs.reduce((best, blob) => (distance(blob) < distance(best) ? blob : best))
}
