/**
 * For each image, by a running service with an empty storage, and with the packages realised: duration of the
 * cold pull (manifest request → manifest), response times of the warm manifest by tag over one connection,
 * and peak memory of the service.
 */
import { addedPackages, parseImageName } from '../../service/image/image-name.ts'
import { PackageSet } from '../../test/support/package-set.ts'
import { Slipway, Workspace } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { bytesText, type Manifest, sizeOf } from './bench-service.ts'
import { Client } from './client.ts'
import { peakMemory } from './process-memory.ts'
import { type Row, rowOf } from './row.ts'
import { median, percentile } from './statistics.ts'

const warmRequests = 1000
const defaultImages = ['hello', 'shell/git/jq', 'big', 'many-files']

interface Pull {
  /** Milliseconds. */
  readonly cold: number
  readonly warm: readonly number[]
  /** Mebibytes. */
  readonly peak: number
  readonly manifest: Manifest
}

export async function measurePull(bench: Bench, images: readonly string[]): Promise<Row[]> {
  await using packages = await PackageSet.create()
  const rows: Row[] = []
  for (const image of images.length > 0 ? images : defaultImages) {
    const attributes = [...parseImageName(image).packages, ...addedPackages]
    await bench.cleanup.instantiate(packages.folder, attributes, bench.signal)
    await using workspace = await Workspace.create()
    const settings = workspace.settings(packages.folder)
    // Warm up: Nix builds the packages, and the first start compiles the code.
    await pullOnce(settings, image, bench.signal)
    const pulls: Pull[] = []
    await bench.repeat(async (run) => {
      const empty = { ...settings, STORAGE_PATH: `${workspace.storage}-${run}` }
      pulls.push(await pullOnce(empty, image, bench.signal))
    })
    await bench.cleanup.noteRoots(workspace.folder)
    rows.push(...rowsOf(image, pulls))
  }
  return rows
}

async function pullOnce(
  settings: Record<string, string>,
  image: string,
  signal: AbortSignal,
): Promise<Pull> {
  await using slipway = await Slipway.start(settings)
  using client = new Client(slipway.url, 1, signal)
  const request = { path: `/v2/${image}/manifests/release-v1` }
  const { body, milliseconds: cold } = await client.ask(request)
  const manifest = JSON.parse(body) as Manifest
  const warm = await client.repeat(request, warmRequests)
  return { cold, warm, peak: await peakMemory(slipway.pid), manifest }
}

function rowsOf(image: string, pulls: readonly Pull[]): Row[] {
  const [{ manifest } = { manifest: undefined }] = pulls
  const size = manifest ? `${bytesText(sizeOf(manifest))} in ${manifest.layers.length} layers` : ''
  return [
    rowOf({
      what: `cold pull of ${image} (${size})`,
      unit: 'ms',
      runs: pulls.map(({ cold }) => cold),
    }),
    rowOf({
      what: `p50 of ${warmRequests} requests for its warm manifest over one connection`,
      unit: 'ms',
      runs: pulls.map(({ warm }) => median(warm)),
    }),
    rowOf({
      what: 'p99 of the same',
      unit: 'ms',
      runs: pulls.map(({ warm }) => percentile(warm, 0.99)),
    }),
    rowOf({
      what: 'peak resident memory of the service',
      unit: 'MiB',
      runs: pulls.map(({ peak }) => peak),
    }),
  ]
}
