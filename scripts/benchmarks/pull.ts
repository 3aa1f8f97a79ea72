/**
 * For each image, on an empty storage and with its packages realised before: the cold pull (manifest
 * request → manifest), warm requests for the manifest by tag over one connection, and the most memory
 * that the service held.
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
    // Once without measuring: what Nix has to build is Nix's time.
    await measureImage(packages, image, signal)
    rows.push([image, ...(await measureImage(packages, image, signal))])
  }
  return {
    header: ['image', 'cold ms', 'warm p50 ms', 'p99 ms', 'peak MiB', 'layers', 'size MiB'],
    rows,
  }
}

async function measureImage(
  packages: PackageSet,
  image: string,
  signal: AbortSignal,
): Promise<string[]> {
  await using workspace = await Workspace.create()
  await using slipway = await Slipway.start(workspace.settings(packages.folder))
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
