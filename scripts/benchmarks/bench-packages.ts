/** Git repository with the package set of the benchmarks, and its packages in the Nix store. */
import { cp, mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { NixCleanup } from './nix-cleanup.ts'
import { run } from './processes.ts'

const here = import.meta.dirname
const nix = resolve(here, '../../nix')

/** Tag of the only commit. */
export const tag = 'release-v1'

/** Realised package. */
export interface Realised {
  readonly storePath: string
  /** Store paths of the closure, with the package's own. */
  readonly closure: readonly string[]
  /** NAR size of the closure. */
  readonly bytes: number
}

export class BenchPackages {
  readonly folder: string
  readonly #roots: string
  readonly #cleanup: NixCleanup
  readonly #signal: AbortSignal

  private constructor(scratch: string, cleanup: NixCleanup, signal: AbortSignal) {
    this.folder = join(scratch, 'packages')
    this.#roots = join(scratch, 'roots')
    this.#cleanup = cleanup
    this.#signal = signal
  }

  static async create(
    scratch: string,
    cleanup: NixCleanup,
    signal: AbortSignal,
  ): Promise<BenchPackages> {
    const packages = new BenchPackages(scratch, cleanup, signal)
    const { folder } = packages
    await mkdir(packages.#roots, { recursive: true })
    await cp(join(here, 'package-set'), folder, { recursive: true })
    for (const part of ['host', 'example']) {
      await cp(join(nix, part), join(folder, part), { recursive: true })
    }
    await packages.#git('init', '--quiet', '--initial-branch=main')
    await packages.#git('add', '--all')
    await packages.#git('commit', '--quiet', '--message', 'Package set of the benchmarks')
    await packages.#git('tag', '--annotate', '--message', tag, tag)
    return packages
  }

  /** Builds packages that are not in the store yet. @param names attributes */
  async realise<Name extends string>(names: readonly Name[]): Promise<Record<Name, Realised>> {
    await this.#cleanup.instantiate(this.folder, names, this.#signal)
    const link = join(this.#roots, names[0] ?? '')
    const settings = ['--max-jobs', String(availableParallelism()), '--out-link', link]
    const attributes = names.flatMap((name) => ['-A', name])
    const built = await run('nix-build', [this.folder, ...settings, ...attributes], {
      signal: this.#signal,
    })
    const storePaths = built.trim().split('\n')
    const entries = names.map(async (name, index) => {
      return [name, await this.#describe(storePaths[index] ?? '')] as const
    })
    return Object.fromEntries(await Promise.all(entries)) as Record<Name, Realised>
  }

  async #describe(storePath: string): Promise<Realised> {
    const output = await run('nix', ['path-info', '--json', '--recursive', storePath], {
      signal: this.#signal,
    })
    // Nix 2.8 prints an array; newer versions print an object whose keys are the paths.
    const parsed = JSON.parse(output) as Record<string, { path?: string; narSize: number }>
    const infos = Object.entries(parsed)
    return {
      storePath,
      closure: infos.map(([key, { path = key }]) => path),
      bytes: infos.reduce((sum, [, { narSize }]) => sum + narSize, 0),
    }
  }

  async #git(...args: string[]): Promise<void> {
    const identity = ['-c', 'user.name=example', '-c', 'user.email=example@example.com']
    await run('git', ['-C', this.folder, ...identity, ...args], {
      signal: this.#signal,
      env: { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    })
  }
}
