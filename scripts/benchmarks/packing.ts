/**
 * Cold pulls, manifest request → manifest, by a service whose storage is empty, with the packages in the
 * Nix store and in the page cache. Nix's own time is not counted; what is left is beside pipelines of
 * ordinary programs on the same store paths, which take turns with it.
 */
import type { Bench } from './bench.ts'
import type { Realised } from './bench-packages.ts'
import { BenchService, bytesText, type ColdPull, sizeOf } from './bench-service.ts'
import { type Compressed, Floors } from './floors.ts'
import { alwaysAtMost, atMostTimes, type Goal, type Row, rowOf } from './row.ts'
import { median } from './statistics.ts'

/** Of one image, run after run. */
class Series {
  readonly pulls: ColdPull[] = []
  /** Milliseconds of `tar | sha256`, right after the pull. */
  readonly hashed: number[] = []
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
    this.hashed.push(await hash())
    this.#compressor = service.compressor
  }

  /** Milliseconds of Slipway's own, run after run. */
  get own(): number[] {
    return this.pulls.map(({ own }) => own)
  }

  /** Bytes of the layers, the same in each run. */
  get size(): number {
    const [first] = this.pulls
    return first ? sizeOf(first.manifest) : Number.NaN
  }

  get what(): string {
    const middle = (part: 'total' | 'nix') =>
      median(this.pulls.map((pull) => pull[part])).toFixed(0)
    const size = `${this.#compressor}: ${bytesText(this.size)}`
    return `cold pull of ${this.#content}, ${size}; in all ${middle('total')} ms, Nix ${middle('nix')}`
  }
}

export async function measurePacking(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const { libraries, 'many-files': many } = await packages.realise(['libraries', 'many-files'])
  const floors = await Floors.create(bench)
  // From here on they are in the page cache.
  await floors.hash([...libraries.closure, ...many.closure])

  const gzip = new Series('libraries', 'libraries and tools', libraries)
  const zstd = new Series('libraries', 'libraries and tools', libraries)
  const none = new Series('libraries', 'libraries and tools', libraries)
  const manyFiles = new Series('many-files', '20,000 files', many)
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
      // It shares nothing with the libraries, so the storage is as good as empty.
      if (kind === 'gzip') await manyFiles.measure(service, () => floors.hash(many.closure))
    }
    igzips.push(await floors.compress(libraries.closure, 'igzip -1'))
    gzips.push(await floors.compress(libraries.closure, 'gzip -6'))
  })

  const besideHash = (series: Series, goal: Goal): Row => {
    const peer = { what: floors.hashName, runs: series.hashed }
    return rowOf({ what: series.what, unit: 'ms', runs: series.own, peer, goal })
  }
  const besideCompressor = (name: string, found: readonly Compressed[], goal?: Goal): Row => {
    return rowOf({
      what: 'the same beside a compressor as one process',
      unit: 'ms',
      runs: gzip.own,
      peer: {
        what: `tar | ${name} (${bytesText(found[0]?.bytes ?? Number.NaN)})`,
        runs: found.map(({ milliseconds }) => milliseconds),
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
      what: 'zstd layers: their size, of that without compression',
      unit: 'part',
      runs: zstd.pulls.map(({ manifest }) => sizeOf(manifest) / none.size),
      goal: alwaysAtMost(0.36),
    }),
    besideHash(none, atMostTimes(1.2)),
  ]
}
