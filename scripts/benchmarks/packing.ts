/**
 * Measures cold pulls, from the request for the manifest to its answer. The storage of the service is empty; the
 * packages are in the Nix store and in the page cache. Nix's own time is subtracted. The rest is compared with
 * pipelines of ordinary programs on the same store paths, which take turns with the service.
 */
import type { Bench } from './bench.ts'
import type { Realised } from './bench-packages.ts'
import { BenchService, bytesText, type ColdPull, sizeOf } from './bench-service.ts'
import { type Compressed, Floors } from './floors.ts'
import { alwaysAtMost, atMostTimes, type Goal, type Row, rowOf } from './row.ts'
import { median } from './statistics.ts'

/** Cold pulls of one image with one compression, one in each run. */
class PullSeries {
  readonly pulls: ColdPull[] = []
  /** Milliseconds of `tar | sha256` in each run, right after the pull. */
  readonly hashTimes: number[] = []
  readonly #image: string
  readonly #content: string
  #compressor = ''

  constructor(image: string, content: string, { bytes, closure }: Realised) {
    this.#image = image
    const paths = closure.length === 1 ? 'one store path' : `${closure.length} store paths`
    this.#content = `${content} (${bytesText(bytes)}, ${paths})`
  }

  async measure(service: BenchService, hash: () => Promise<number>): Promise<void> {
    this.pulls.push(await service.pull(this.#image))
    this.hashTimes.push(await hash())
    this.#compressor = service.compressor
  }

  /** Milliseconds without Nix's time, in each run. */
  get ownTimes(): number[] {
    return this.pulls.map(({ own }) => own)
  }

  /** Bytes of the layers in the first run. */
  get size(): number {
    const [first] = this.pulls
    return first ? sizeOf(first.manifest) : Number.NaN
  }

  get description(): string {
    const medianOf = (part: 'total' | 'nix') =>
      median(this.pulls.map((pull) => pull[part])).toFixed(0)
    const size = `${this.#compressor}: ${bytesText(this.size)}`
    const times = `${medianOf('total')} ms in total, Nix ${medianOf('nix')}`
    return `cold pull of ${this.#content}, ${size}; ${times}`
  }
}

export async function measurePacking(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const { libraries, 'many-files': many } = await packages.realise(['libraries', 'many-files'])
  const floors = await Floors.create(bench)
  // Reads the files into the page cache.
  await floors.hash([...libraries.closure, ...many.closure])

  const gzip = new PullSeries('libraries', 'libraries and tools', libraries)
  const zstd = new PullSeries('libraries', 'libraries and tools', libraries)
  const none = new PullSeries('libraries', 'libraries and tools', libraries)
  const manyFiles = new PullSeries('many-files', '20,000 files', many)
  const igzips: Compressed[] = []
  const gzips: Compressed[] = []
  await bench.repeat(async () => {
    const all = [
      { kind: 'gzip', series: gzip },
      { kind: 'zstd', series: zstd },
      { kind: 'none', series: none },
    ]
    for (const { kind, series } of all) {
      await using service = await BenchService.start(bench, { SLIPWAY_COMPRESSION: kind })
      await series.measure(service, () => floors.hash(libraries.closure))
      // This image shares no layer with the libraries, so for it the storage is empty.
      if (kind === 'gzip') await manyFiles.measure(service, () => floors.hash(many.closure))
    }
    igzips.push(await floors.compress(libraries.closure, 'igzip -1'))
    gzips.push(await floors.compress(libraries.closure, 'gzip -6'))
  })

  const besideHash = (series: PullSeries, goal: Goal): Row => {
    const peer = { what: floors.hashName, runs: series.hashTimes }
    return rowOf({ what: series.description, unit: 'ms', runs: series.ownTimes, peer, goal })
  }
  const besideCompressor = (name: string, results: readonly Compressed[], goal?: Goal): Row => {
    return rowOf({
      what: 'these gzip layers, compared with a compressor as one process',
      unit: 'ms',
      runs: gzip.ownTimes,
      peer: {
        what: `tar | ${name} (${bytesText(results[0]?.bytes ?? Number.NaN)})`,
        runs: results.map(({ milliseconds }) => milliseconds),
      },
      ...(goal ? { goal } : {}),
    })
  }
  return [
    besideHash(gzip, atMostTimes(1.6)),
    besideCompressor('gzip -6', gzips, atMostTimes(0.1, 'at least 10 times as fast')),
    besideCompressor('igzip -1', igzips),
    besideHash(manyFiles, atMostTimes(2)),
    besideHash(zstd, atMostTimes(2.2)),
    rowOf({
      what: 'size of zstd layers, as a part of their size without compression',
      unit: 'part',
      runs: zstd.pulls.map(({ manifest }) => sizeOf(manifest) / none.size),
      goal: alwaysAtMost(0.36),
    }),
    besideHash(none, atMostTimes(1.2)),
  ]
}
