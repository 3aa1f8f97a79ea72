/** Resources that all benchmarks share: scratch folder, package set, docker-registry. Removed at the end. */
import { mkdir, readdir, rm, truncate } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BenchPackages } from './bench-packages.ts'
import { DockerRegistry } from './docker-registry.ts'
import { NixCleanup } from './nix-cleanup.ts'

/** Folder of results and of the scratch folder, on the same disk as the folders of a service. */
export const benchFolder = resolve(import.meta.dirname, '../../var/bench')

export interface BenchOptions {
  /** How often each figure is measured. */
  readonly runs: number
  readonly signal: AbortSignal
}

export class Bench implements AsyncDisposable {
  readonly runs: number
  readonly signal: AbortSignal
  /** Folder that is deleted at the end. */
  readonly scratch: string
  readonly cleanup: NixCleanup
  readonly #resources = new AsyncDisposableStack()
  /** Folders to delete after the running benchmark. */
  readonly #discarded: string[] = []
  #packages: Promise<BenchPackages> | undefined
  #registry: Promise<DockerRegistry> | undefined

  private constructor({ runs, signal }: BenchOptions, scratch: string, cleanup: NixCleanup) {
    this.runs = runs
    this.signal = signal
    this.scratch = scratch
    this.cleanup = cleanup
  }

  static async create(options: BenchOptions): Promise<Bench> {
    await removeAbandoned()
    const scratch = join(benchFolder, scratchName(process.pid))
    await mkdir(scratch, { recursive: true })
    // All temporary folders from here on, also those of Nix and of test/support, are in the scratch folder.
    process.env.TMPDIR = scratch
    return new Bench(options, scratch, await NixCleanup.begin())
  }

  /** Returns the package set that all benchmarks share. */
  packages(): Promise<BenchPackages> {
    this.#packages ??= BenchPackages.create(this.scratch, this.cleanup, this.signal)
    return this.#packages
  }

  /** Returns Debian's registry, which all benchmarks share. */
  registry(): Promise<DockerRegistry> {
    this.#registry ??= DockerRegistry.start(this.scratch, this.signal).then((registry) =>
      this.#resources.use(registry),
    )
    return this.#registry
  }

  /** Calls `measure` for each run. Runs are numbered from 1. */
  async repeat(measure: (run: number) => Promise<void>): Promise<void> {
    for (let run = 1; run <= this.runs; run += 1) {
      this.signal.throwIfAborted()
      await measure(run)
    }
  }

  /**
   * Frees the space of a folder now, and deletes its files after the running benchmark: a file system creates
   * files slowly after it has deleted many.
   */
  async removeLater(folder: string): Promise<void> {
    this.#discarded.push(folder)
    const entries = readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of await entries.catch(() => [])) {
      if (entry.isFile()) await truncate(join(entry.parentPath, entry.name))
    }
  }

  /** Deletes the folders of `removeLater`. Must be called after each benchmark. */
  async tidy(): Promise<void> {
    for (const folder of this.#discarded.splice(0)) {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
    await this.cleanup.remove(this.scratch)
    await rm(this.scratch, { recursive: true, force: true })
  }
}

function scratchName(pid: number): string {
  return `scratch-${pid}`
}

/** Removes the scratch folders and store paths of killed runs. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(benchFolder).catch(() => [])) {
    const [, pid] = /^scratch-(\d+)$/.exec(name) ?? []
    if (pid === undefined || isRunning(Number(pid))) continue
    const folder = join(benchFolder, name)
    await (await NixCleanup.begin()).remove(folder)
    await rm(folder, { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
