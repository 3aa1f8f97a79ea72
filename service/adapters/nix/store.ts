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
import { compareCodeUnits } from '../../text/order.ts'
import { exists } from '../filesystem/file-access.ts'
import { type Launcher, launched } from '../process/launcher.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { BatchCompletion } from './batch-completion.ts'
import { buildFailure } from './build-failure.ts'
import { BuildLog } from './build-log.ts'
import { BuilderSlots } from './builder-slots.ts'
import { nixUnavailable, type RunNix, runNix } from './run-nix.ts'

/** Seconds without output, beyond the limit of a builder, after which Nix is stopped: a lock or download hangs. */
const stalled = 300

const pathInfo = z.object({ narSize: z.number(), references: z.array(z.string()) })
/** Nix up to 2.18 prints a list, newer versions an object by path, in which an invalid path is null. */
const pathInfos = z.union([
  z.array(pathInfo.extend({ path: z.string() })),
  z.record(z.string(), pathInfo.nullable()),
])

interface RealiseControl {
  /** Called when outputs may have become valid. */
  readonly onBuilt?: () => void
  readonly signal?: AbortSignal | undefined
}

export interface LocalNixStoreOptions {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
  readonly launcher?: Launcher
  /** Folder for GC roots. */
  readonly rootsFolder: string
  /** Folder for source trees that are copied into the store. */
  readonly temporaryFolder: string
  /** Most Nix builders at a time, over all images. */
  readonly builders: number
}

export class LocalNixStore implements NixStore {
  readonly #options: LocalNixStoreOptions
  readonly #slots: BuilderSlots
  readonly #runNix: RunNix

  constructor(options: LocalNixStoreOptions) {
    this.#options = options
    this.#slots = new BuilderSlots(options.builders)
    this.#runNix = (program, args) => runNix(options, program, args)
  }

  async addSource(roots: string, write: (folder: string) => Promise<void>): Promise<StorePath> {
    const parent = await mkdtemp(join(this.#options.temporaryFolder, 'source-'))
    try {
      // The folder's name becomes part of the store path, and so of every derivation that refers to its own
      // source. It must be the same for all commits.
      const folder = join(parent, 'source')
      await mkdir(folder)
      await write(folder)
      const path = (await this.#runNix('nix-store', ['--add', folder])).trim()
      await mkdir(this.#rootsFolderOf(roots), { recursive: true })
      const root = join(this.#rootsFolderOf(roots), 'source')
      await this.#runNix('nix-store', ['--realise', path, '--add-root', root])
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
    const { cause, limit, roots } = options
    const rootsFolder = this.#rootsFolderOf(roots)
    await mkdir(rootsFolder, { recursive: true })
    const realise = (builders: number) => {
      const flags = ['--max-jobs', String(builders), '--add-root', join(rootsFolder, 'output')]
      return this.#realise(packages, limit, flags)
    }
    // Most outputs are built already, or can be substituted. This needs no builder and must not wait for one.
    let log = await realise(0)
    if (log === undefined) return
    // Even without local builders, a remote builder may have failed.
    const isTried = log.failures.length > 0 || log.interruption !== undefined
    if (!isTried) log = await this.#slots.run(cause, realise)
    if (log !== undefined) throw await buildFailure(packages, log, limit, this.#runNix)
  }

  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    { cause, limit, signal }: RealiseEachOptions,
  ): Promise<void>[] {
    const batch = new BatchCompletion(images, this.#runNix)
    this.#slots
      .run(cause, (builders) => {
        const flags = ['--keep-going', '--max-jobs', String(builders)]
        return this.#realise(images.flat(), limit, flags, { onBuilt: () => batch.check(), signal })
      })
      .then(
        (log) => batch.end(log ?? new BuildLog(), limit),
        (error: unknown) => batch.fail(error),
      )
    return batch.outcomes
  }

  async closure(paths: readonly StorePath[]): Promise<Closure> {
    if (paths.length === 0) return []
    const flags = ['--extra-experimental-features', 'nix-command', '--json', '--recursive']
    const infos = pathInfos.parse(
      JSON.parse(await this.#runNix('nix', ['path-info', ...flags, ...paths])),
    )
    const list = Array.isArray(infos)
      ? infos
      : Object.entries(infos).map(([path, info]) => {
          if (info === null) throw nixUnavailable(`${path} is no longer in the Nix store`)
          return { path, ...info }
        })
    return list
      .map(({ path, narSize, references }) => ({ path, narSize, references }))
      .sort((a, b) => compareCodeUnits(a.path, b.path))
  }

  async release(roots: string): Promise<void> {
    await rm(this.#rootsFolderOf(roots), { recursive: true, force: true })
  }

  /**
   * Runs nix-store --realise.
   * @returns undefined if all outputs are valid, else the log that shows why they are not
   * @throws the signal's reason
   */
  async #realise(
    packages: readonly EvaluatedPackage[],
    limit: BuilderLimit,
    flags: readonly string[],
    { onBuilt, signal }: RealiseControl = {},
  ): Promise<BuildLog | undefined> {
    const log = new BuildLog(onBuilt)
    const outputs = packages
      .flatMap((one) => [one, ...(one.requires ?? [])])
      .map(({ derivation, outputName }) => `${derivation}!${outputName}`)
    const { groups, env, launcher } = this.#options
    const args = ['--realise', ...new Set(outputs), ...flags]
      .concat(['--timeout', String(limit.seconds)])
      .concat(['--log-format', 'internal-json', '-v'])
    const idleSeconds = limit.seconds + stalled
    const result = await groups.run(...launched(launcher, 'nix-store', args), {
      env,
      idleTimeout: idleSeconds * 1000,
      onStderrLine: (line) => log.add(line),
      ...(signal === undefined ? {} : { signal }),
    })
    if (result.exitCode === 0) return undefined
    if (result.exitCode === undefined) {
      const ending = result.timedOut
        ? `it printed nothing for ${idleSeconds} seconds`
        : `it got ${result.signal}`
      log.interruption = nixUnavailable(`Nix was stopped while it was building: ${ending}`)
    }
    return log
  }

  #rootsFolderOf(roots: string): string {
    return join(this.#options.rootsFolder, roots)
  }
}
