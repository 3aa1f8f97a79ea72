/**
 * Lower bounds for the time of packing: the same store paths through a pipeline of ordinary programs.
 *
 *     tar | openssl dgst -sha256        reading and hashing, no compression
 *     tar | gzip -6                     Nixery's way of packing, in one process
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { run } from './processes.ts'

/** The fastest one is used. Debian's sha256sum is built without OpenSSL, which is four times as fast. */
const hashers = ['openssl dgst -sha256', 'sha256sum']
const probe = 'head -c 100000000 /dev/zero'

/** Makes tar write 64 kB at a time, the capacity of a pipe: with its default of 10 kB, everything takes 10 % longer. */
const tar = 'tar --create --blocking-factor=128 --absolute-names'

export interface Compressed {
  readonly milliseconds: number
  /** Size of the compressed output. */
  readonly bytes: number
}

export class Floors {
  /** The pipeline of `hash`, for the table: `tar | openssl dgst -sha256`. */
  readonly hashName: string
  readonly #hasher: string
  readonly #bench: Bench

  private constructor(bench: Bench, hasher: string) {
    this.hashName = `tar | ${hasher}`
    this.#hasher = hasher
    this.#bench = bench
  }

  static async create(bench: Bench): Promise<Floors> {
    const times: { milliseconds: number; hasher: string }[] = []
    for (const hasher of hashers) {
      const started = performance.now()
      const output = await pipeline(`${probe} | ${hasher}`, bench.signal).catch(() => undefined)
      bench.signal.throwIfAborted()
      if (output !== undefined) times.push({ milliseconds: performance.now() - started, hasher })
    }
    const [fastest] = times.sort((a, b) => a.milliseconds - b.milliseconds)
    if (fastest === undefined) throw new Error(`none of ${hashers.join(', ')} works`)
    return new Floors(bench, fastest.hasher)
  }

  /** Reads and hashes the paths; returns the milliseconds. */
  async hash(paths: readonly string[]): Promise<number> {
    return (await this.#time(paths, this.#hasher)).milliseconds
  }

  /**
   * Reads and compresses the paths.
   * @param compressor a program with its options
   */
  async compress(paths: readonly string[], compressor: string): Promise<Compressed> {
    const { milliseconds, output } = await this.#time(paths, `${compressor} | wc -c`)
    return { milliseconds, bytes: Number(output) }
  }

  async #time(
    paths: readonly string[],
    consumer: string,
  ): Promise<{ milliseconds: number; output: string }> {
    const list = join(this.#bench.scratch, 'paths')
    await writeFile(list, paths.map((path) => `${path}\n`).join(''))
    const started = performance.now()
    const output = await pipeline(`${tar} --files-from='${list}' | ${consumer}`, this.#bench.signal)
    return { milliseconds: performance.now() - started, output }
  }
}

function pipeline(programs: string, signal: AbortSignal): Promise<string> {
  return run('bash', ['-c', `set -o pipefail; ${programs}`], { signal })
}
