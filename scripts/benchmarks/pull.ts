/**
 * For each image, by a service that was started before, on an empty storage and with its packages realised:
 * the cold pull (manifest request → manifest), warm requests for the manifest by tag over one
 * connection, and the most memory that the service held.
 */
import { PackageSet } from '../../test/support/package-set.ts'
import { Slipway, Workspace } from '../../test/support/slipway.ts'
import { Client } from './client.ts'
import { peakMemory } from './process-memory.ts'
import { median, percentile } from './statistics.ts'
import type { Table } from './table.ts'

const warmRequests = 1000
const defaultImages = ['hello', 'shell/git/jq', 'big', 'many-files']

export async function measurePull(images: readonly string[], signal: AbortSignal): Promise<Table> {
  await using packages = await PackageSet.create()
  const rows: string[][] = []
  for (const image of images.length > 0 ? images : defaultImages) {
    await using workspace = await Workspace.create()
    const settings = workspace.settings(packages.folder)
    // Once without measuring: what Nix has to build is Nix's time, and the first start of all compiles.
    await measureImage(settings, image, signal)
    const empty = { ...settings, STORAGE_PATH: `${workspace.storage}-empty` }
    rows.push([image, ...(await measureImage(empty, image, signal))])
  }
  return {
    header: ['image', 'cold ms', 'warm p50 ms', 'p99 ms', 'peak MiB', 'layers', 'size MiB'],
    rows,
  }
}

async function measureImage(
  settings: Record<string, string>,
  image: string,
  signal: AbortSignal,
): Promise<string[]> {
  await using slipway = await Slipway.start({
    ...settings,
    NODE_COMPILE_CACHE: `${settings.SLIPWAY_STATE_PATH}/compiled`,
  })
  using client = new Client(slipway.url, 1, signal)
  const question = { path: `/v2/${image}/manifests/release-v1` }
  const { body, milliseconds: cold } = await client.ask(question)
  const { layers } = JSON.parse(body) as { layers: { size: number }[] }
  const warm = await client.askAgain(question, warmRequests)
  const size = layers.reduce((sum, layer) => sum + layer.size, 0) / 2 ** 20
  return [
    cold.toFixed(0),
    median(warm).toFixed(2),
    percentile(warm, 0.99).toFixed(2),
    (await peakMemory(slipway.pid)).toFixed(0),
    String(layers.length),
    size.toFixed(1),
  ]
}
