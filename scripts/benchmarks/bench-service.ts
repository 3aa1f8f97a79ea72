/** Service on the package set of the benchmarks. Its storage is empty at the start. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Descriptor, Manifest } from '../../test/support/pull.ts'
import { Slipway } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { tag } from './bench-packages.ts'
import { Client } from './client.ts'

/** Stages of a build, by their names in the build journal, that only wait for Nix. */
const nixStages = ['evaluate', 'realise', 'closure']

/** Image that is pulled before the measurement. It shares no store path with another image. */
export const warmUp = 'warm-up'

export type { Descriptor, Manifest }

/** Pull of an image that had to be built. Times in milliseconds. */
export interface ColdPull {
  /** Time from the request for the manifest to the end of the response. */
  readonly total: number
  /** Time in which Slipway waited for Nix. */
  readonly nix: number
  /** The rest of the time. */
  readonly own: number
  readonly manifest: Manifest
}

interface BuildEntry {
  readonly image: string
  readonly outcome: string
  readonly stages: Record<string, number>
}

export class BenchService implements AsyncDisposable {
  readonly slipway: Slipway
  readonly client: Client
  readonly storage: string

  readonly #bench: Bench

  private constructor(bench: Bench, slipway: Slipway, client: Client, storage: string) {
    this.#bench = bench
    this.slipway = slipway
    this.client = client
    this.storage = storage
  }

  /**
   * Starts a service and warms it up with the pull of another image.
   * @param settings in addition to the common settings of all benchmarks
   */
  static async start(bench: Bench, settings: Record<string, string> = {}): Promise<BenchService> {
    const packages = await bench.packages()
    await packages.realise([warmUp])
    const storage = await mkdtemp(join(bench.scratch, 'storage-'))
    const slipway = await Slipway.start(
      await settingsOf(bench, { STORAGE_PATH: storage, ...settings }),
    )
    const client = new Client(slipway.url, 64, bench.signal)
    const service = new BenchService(bench, slipway, client, storage)
    try {
      await service.pull(warmUp)
      return service
    } catch (error) {
      await service[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Pulls an image that has not been built yet. Its packages should be realised. */
  async pull(image: string): Promise<ColdPull> {
    const { body, milliseconds: total } = await this.client.ask({ path: manifestPath(image) })
    const stages = await this.stagesOf(image)
    const nix = nixStages.reduce((sum, stage) => sum + (stages[stage] ?? 0), 0)
    return { total, nix, own: total - nix, manifest: JSON.parse(body) as Manifest }
  }

  /** Returns the milliseconds of each stage of the last build of an image. */
  async stagesOf(image: string): Promise<Record<string, number>> {
    const { body } = await this.client.ask({ path: '/api/builds' })
    const { builds } = JSON.parse(body) as { builds: BuildEntry[] }
    const entry = builds.find((build) => build.image === image && build.outcome === 'built')
    if (entry === undefined) throw new Error(`the build journal has no build of ${image}`)
    return entry.stages
  }

  /** Name of the compressor of layers, from the service's log. */
  get compressor(): string {
    return String(this.slipway.logged('compressor of layers selected')[0]?.compressor ?? 'unknown')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]()
    await this.slipway.stop()
    await this.#bench.removeLater(this.storage)
  }
}

/** Returns the environment of a service on the package set of the benchmarks. */
export async function settingsOf(
  bench: Bench,
  settings: Record<string, string>,
): Promise<Record<string, string>> {
  const packages = await bench.packages()
  return {
    NIXERY_PKGS_REPO: packages.folder,
    // Shared, so that only the first service has to fetch the mirror and to compile its code.
    SLIPWAY_STATE_PATH: join(bench.scratch, 'state'),
    SLIPWAY_POLL_INTERVAL: '0',
    SLIPWAY_PREBUILD_POPULAR: '0',
    PORT: '0',
    ...settings,
  }
}

export function manifestPath(image: string): string {
  return `/v2/${image}/manifests/${tag}`
}

/** Returns the compressed bytes of all layers. */
export function sizeOf({ layers }: Manifest): number {
  return layers.reduce((sum, { size }) => sum + size, 0)
}

/** Formats bytes: `1.0 GB`, `118 MB`, `3.0 MB`, `500 bytes`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  const [unit, size] = bytes < 1e6 ? ['kB', 1e3] : bytes < 999.5e6 ? ['MB', 1e6] : ['GB', 1e9]
  const value = bytes / Number(size)
  return `${value.toFixed(value >= 9.95 ? 0 : 1)} ${unit}`
}
