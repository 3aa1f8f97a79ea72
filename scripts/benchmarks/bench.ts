/** What the measurements of one run share: a folder, packages, a peer; nothing of it is left at the end. */
import { mkdir, readdir, rm, truncate } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BenchPackages } from './bench-packages.ts'
import { DockerRegistry } from './docker-registry.ts'
import { NixTraces } from './nix-traces.ts'

/** Where results are written, and what is needed meanwhile: on the disk that the service would use, too. */
export const benchFolder = resolve(import.meta.dirname, '../../var/bench')

export interface BenchOptions {
  /** How often each thing is measured. */
  readonly runs: number
  readonly signal: AbortSignal
}

export class Bench implements AsyncDisposable {
  readonly runs: number
  readonly signal: AbortSignal
  /** For whatever must be gone at the end. */
  readonly scratch: string
  readonly traces: NixTraces
  readonly #resources = new AsyncDisposableStack()
  readonly #abandoned: string[] = []
  #packages: Promise<BenchPackages> | undefined
  #registry: Promise<DockerRegistry> | undefined

  private constructor({ runs, signal }: BenchOptions, scratch: string, traces: NixTraces) {
    this.runs = runs
    this.signal = signal
    this.scratch = scratch
    this.traces = traces
  }

  static async create(options: BenchOptions): Promise<Bench> {
    await removeAbandoned()
    const scratch = join(benchFolder, scratchName(process.pid))
    await mkdir(scratch, { recursive: true })
    // Temporary folders of all that is called from here on, Nix's and the tests' helpers included.
    process.env.TMPDIR = scratch
    return new Bench(options, scratch, await NixTraces.begin())
  }

  /** The package set; the same for all measurements. */
  packages(): Promise<BenchPackages> {
    this.#packages ??= BenchPackages.create(this.scratch, this.traces, this.signal)
    return this.#packages
  }

  /** Debian's registry; the same for all measurements. */
  registry(): Promise<DockerRegistry> {
    this.#registry ??= DockerRegistry.start(this.scratch, this.signal).then((registry) =>
      this.#resources.use(registry),
    )
    return this.#registry
  }

  /** Calls something once for each run, its number 1 and up. */
  async repeat(measure: (run: number) => Promise<void>): Promise<void> {
    for (let run = 1; run <= this.runs; run += 1) {
      this.signal.throwIfAborted()
      await measure(run)
    }
  }

  /**
   * Gives back the space that a folder takes, and has it removed when the measurement that goes on is over: a
   * file system that has just lost many files is slow to make new ones.
   */
  async removeLater(folder: string): Promise<void> {
    this.#abandoned.push(folder)
    const entries = readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of await entries.catch(() => [])) {
      if (entry.isFile()) await truncate(join(entry.parentPath, entry.name))
    }
  }

  /** To be called after each measurement. */
  async tidy(): Promise<void> {
    for (const folder of this.#abandoned.splice(0)) {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
    await this.traces.remove(this.scratch)
    await rm(this.scratch, { recursive: true, force: true })
  }
}

function scratchName(pid: number): string {
  return `scratch-${pid}`
}

/** Takes away what runs that were killed have left. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(benchFolder).catch(() => [])) {
    const [, pid] = /^scratch-(\d+)$/.exec(name) ?? []
    if (pid === undefined || isAlive(Number(pid))) continue
    const folder = join(benchFolder, name)
    await (await NixTraces.begin()).remove(folder)
    await rm(folder, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
