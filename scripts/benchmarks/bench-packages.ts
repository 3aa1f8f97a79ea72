/** The package set that is measured with, as a git repository, and its packages in the Nix store. */
import { cp, mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { NixTraces } from './nix-traces.ts'
import { run } from './processes.ts'

const here = import.meta.dirname
const nix = resolve(here, '../../nix')

/** Of the one commit there is. */
export const tag = 'release-v1'

/** A package, realised. */
export interface Realised {
  readonly storePath: string
  /** With all that it needs, itself included. */
  readonly closure: readonly string[]
  /** Of the closure, as Nix counts them. */
  readonly bytes: number
}

export class BenchPackages {
  readonly folder: string
  readonly #roots: string
  readonly #traces: NixTraces
  readonly #signal: AbortSignal

  private constructor(scratch: string, traces: NixTraces, signal: AbortSignal) {
    this.folder = join(scratch, 'packages')
    this.#roots = join(scratch, 'roots')
    this.#traces = traces
    this.#signal = signal
  }

  static async create(
    scratch: string,
    traces: NixTraces,
    signal: AbortSignal,
  ): Promise<BenchPackages> {
    const packages = new BenchPackages(scratch, traces, signal)
    const { folder } = packages
    await mkdir(packages.#roots, { recursive: true })
    await cp(join(here, 'package-set'), folder, { recursive: true })
    for (const part of ['host', 'example']) {
      await cp(join(nix, part), join(folder, part), { recursive: true })
    }
    await packages.#git('init', '--quiet', '--initial-branch=main')
    await packages.#git('add', '--all')
    await packages.#git('commit', '--quiet', '--message', 'What is measured')
    await packages.#git('tag', '--annotate', '--message', tag, tag)
    return packages
  }

  /** Builds packages, by attribute, those that are not in the store yet. */
  async realise<Name extends string>(names: readonly Name[]): Promise<Record<Name, Realised>> {
    await this.#traces.instantiate(this.folder, names, this.#signal)
    const link = join(this.#roots, names[0] ?? '')
    const settings = ['--max-jobs', String(availableParallelism()), '--out-link', link]
    const attributes = names.flatMap((name) => ['-A', name])
    const built = await run('nix-build', [this.folder, ...settings, ...attributes], {
      signal: this.#signal,
    })
    const storePaths = built.trim().split('\n')
    const found = names.map(async (name, index) => {
      return [name, await this.#describe(storePaths[index] ?? '')] as const
    })
    return Object.fromEntries(await Promise.all(found)) as Record<Name, Realised>
  }

  async #describe(storePath: string): Promise<Realised> {
    const answer = await run('nix', ['path-info', '--json', '--recursive', storePath], {
      signal: this.#signal,
    })
    // Newer versions of Nix answer with an object, its keys the paths.
    const found = JSON.parse(answer) as Record<string, { path?: string; narSize: number }>
    const infos = Object.entries(found)
    return {
      storePath,
      closure: infos.map(([key, { path = key }]) => path),
      bytes: infos.reduce((sum, [, { narSize }]) => sum + narSize, 0),
    }
  }

  async #git(...args: string[]): Promise<void> {
    const as = ['-c', 'user.name=example', '-c', 'user.email=example@example.com']
    await run('git', ['-C', this.folder, ...as, ...args], {
      signal: this.#signal,
      env: { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    })
  }
}
