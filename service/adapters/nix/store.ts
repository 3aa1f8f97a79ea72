/** The Nix store, through nix-store and nix path-info. */

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type {
  BuilderLimit,
  NixStore,
  RealiseEachOptions,
  RealiseOptions,
} from '../../build/ports.ts'
import type { Closure, StorePath } from '../../closure/closure.ts'
import type { EvaluatedPackage } from '../../closure/package.ts'
import { Failure } from '../../image/errors.ts'
import { exists } from '../filesystem/file-access.ts'
import { type Launcher, launched } from '../process/launcher.ts'
import type { ProcessGroups } from '../process/process-group.ts'
import { askNix } from './ask.ts'
import { BatchCompletion } from './batch-completion.ts'
import { buildFailure } from './build-failure.ts'
import { BuildLog } from './build-log.ts'
import { BuilderSlots } from './builder-slots.ts'

/** Seconds of silence beyond what a builder may take: a Nix that hangs, on a lock or a download. */
const stalled = 300

const pathInfo = z.object({ narSize: z.number(), references: z.array(z.string()) })
/** Nix up to 2.18 prints a list, newer ones an object keyed by path; null stands for an invalid path. */
const pathInfos = z.union([
  z.array(pathInfo.extend({ path: z.string() })),
  z.record(z.string(), pathInfo.nullable()),
])

interface Watch {
  /** Called when a builder has ended, well or not. */
  readonly onBuilt?: () => void
  readonly signal?: AbortSignal | undefined
}

export interface LocalNixStoreOptions {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
  readonly launcher?: Launcher
  /** Folder for GC roots. */
  readonly rootsFolder: string
  /** Folder for source trees on their way into the store. */
  readonly temporaryFolder: string
  /** Nix builders at a time, over all images. */
  readonly builders: number
}

export class LocalNixStore implements NixStore {
  readonly #options: LocalNixStoreOptions
  readonly #slots: BuilderSlots

  constructor(options: LocalNixStoreOptions) {
    this.#options = options
    this.#slots = new BuilderSlots(options.builders)
  }

  async addSource(roots: string, write: (folder: string) => Promise<void>): Promise<StorePath> {
    const parent = await mkdtemp(join(this.#options.temporaryFolder, 'source-'))
    try {
      // The name is part of the store path, and so of everything that refers to its own source:
      // it must not tell one commit from another.
      const folder = join(parent, 'source')
      await mkdir(folder)
      await write(folder)
      const path = (await this.#read('nix-store', ['--add', folder])).trim()
      await mkdir(this.#rootsOf(roots), { recursive: true })
      const root = join(this.#rootsOf(roots), 'source')
      await this.#read('nix-store', ['--realise', path, '--add-root', root])
      return path
    } finally {
      await rm(parent, { recursive: true, force: true })
    }
  }

  has(path: StorePath): Promise<boolean> {
    return exists(path)
  }

  async realise(packages: readonly EvaluatedPackage[], options: RealiseOptions): Promise<void> {
    if (packages.length === 0) return
    const roots = this.#rootsOf(options.roots)
    await mkdir(roots, { recursive: true })
    const rooted = ['--add-root', join(roots, 'output')]
    // Most of what is asked for is built already, or substituted: that waits for nobody's builder.
    const first = await this.#realise(packages, options.limit, ['--max-jobs', '0', ...rooted])
    if (first === undefined) return
    // A remote builder may have tried, and failed, already.
    const log =
      first.failures.length > 0
        ? first
        : await this.#slots.with(options.cause, (builders) =>
            this.#realise(packages, options.limit, ['--max-jobs', String(builders), ...rooted]),
          )
    if (log === undefined) return
    throw await buildFailure(packages, log, options.limit, (...command) => this.#read(...command))
  }

  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    { cause, limit, signal }: RealiseEachOptions,
  ): Promise<void>[] {
    const batch = new BatchCompletion(images, (...command) => this.#read(...command))
    this.#slots
      .with(cause, (builders) => {
        const flags = ['--keep-going', '--max-jobs', String(builders)]
        return this.#realise(images.flat(), limit, flags, { onBuilt: () => batch.look(), signal })
      })
      .then(
        (log) => batch.end(log, limit),
        (error: unknown) => batch.fail(error),
      )
    return batch.outcomes
  }

  async closure(paths: readonly StorePath[]): Promise<Closure> {
    if (paths.length === 0) return []
    const flags = ['--extra-experimental-features', 'nix-command', '--json', '--recursive']
    const infos = pathInfos.parse(
      JSON.parse(await this.#read('nix', ['path-info', ...flags, ...paths])),
    )
    const list = Array.isArray(infos)
      ? infos
      : Object.entries(infos).map(([path, info]) => {
          if (info === null) throw new Failure('unavailable', `${path} has left the Nix store`)
          return { path, ...info }
        })
    return list
      .map(({ path, narSize, references }) => ({ path, narSize, references }))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async release(roots: string): Promise<void> {
    await rm(this.#rootsOf(roots), { recursive: true, force: true })
  }

  /**
   * The log if anything failed.
   * @throws the signal's reason
   */
  async #realise(
    packages: readonly EvaluatedPackage[],
    limit: BuilderLimit,
    flags: readonly string[],
    { onBuilt, signal }: Watch = {},
  ): Promise<BuildLog | undefined> {
    const log = new BuildLog(onBuilt)
    const outputs = packages
      .flatMap((one) => [one, ...(one.requires ?? [])])
      .map(({ derivation, outputName }) => `${derivation}!${outputName}`)
    const { groups, env, launcher } = this.#options
    const args = ['--realise', ...new Set(outputs), ...flags]
      .concat(['--timeout', String(limit.seconds)])
      .concat(['--log-format', 'internal-json', '-v'])
    const result = await groups.run(...launched(launcher, 'nix-store', args), {
      env,
      idleTimeout: (limit.seconds + stalled) * 1000,
      onStderrLine: (line) => log.add(line),
      ...(signal === undefined ? {} : { signal }),
    })
    const { exitCode, signal: killedBy, timedOut } = result
    if (exitCode === 0) return undefined
    if (exitCode === undefined && log.failures.length === 0) {
      // Not a word about the package: it is Nix that was stopped, by us or by the system.
      const end = timedOut
        ? `said nothing for ${limit.seconds + stalled} seconds`
        : `got ${killedBy}`
      throw new Failure('unavailable', `Nix was ended while it built: it ${end}`, {
        retryAfter: 30,
      })
    }
    return log
  }

  #read(program: string, args: string[]): Promise<string> {
    return askNix(this.#options, program, args)
  }

  #rootsOf(name: string): string {
    return join(this.#options.rootsFolder, name)
  }
}
