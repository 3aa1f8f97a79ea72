/** Evaluator and Nix store without Nix: a test declares packages, and reads the journal of calls. */

import { createHash } from 'node:crypto'
import type {
  Cause,
  EvaluationRequest,
  Evaluator,
  NixStore,
  RealiseEachOptions,
  RealiseOptions,
} from '../../service/build/ports.ts'
import type { Closure, StorePath } from '../../service/closure/closure.ts'
import type { EvaluatedPackage, PackageOutcome } from '../../service/closure/package.ts'

/** Package of the fake set. */
export interface FakePackage extends Partial<Omit<EvaluatedPackage, 'name'>> {
  /** Names of its run-time references. */
  readonly references?: readonly string[]
}

export type FakePackageSet = Record<string, FakePackage>

/** Returns a store path that depends on the name alone: `/nix/store/<32 characters>-hello-1.0`. */
export function storePathOf(name: string): StorePath {
  return `/nix/store/${createHash('sha256').update(name).digest('hex').slice(0, 32)}-${name}-1.0`
}

/** Returns a package as an evaluation finds it. */
export function evaluated(name: string, facts: FakePackage = {}): EvaluatedPackage {
  const { references: _, ...rest } = facts
  return {
    name,
    attribute: name,
    derivation: `${storePathOf(name)}.drv`,
    outputName: 'out',
    storePath: storePathOf(name),
    system: 'x86_64-linux',
    priority: 5,
    ...rest,
  }
}

export class FakeEvaluator implements Evaluator {
  readonly requests: EvaluationRequest[] = []
  readonly #packages: FakePackageSet
  readonly #journal: string[]
  /** Called before each evaluation; may wait or throw. */
  before: () => void | Promise<void> = () => {}

  constructor(packages: FakePackageSet, journal: string[]) {
    this.#packages = packages
    this.#journal = journal
  }

  async evaluate(request: EvaluationRequest): Promise<PackageOutcome[]> {
    this.requests.push(request)
    this.#journal.push(`evaluate ${request.packages.join(' ')}`)
    await this.before()
    return request.packages.map((name) => {
      const facts = this.#packages[name]
      if (facts !== undefined) return { status: 'found', package: evaluated(name, facts) }
      return { status: 'missing', name, level: '', known: Object.keys(this.#packages) }
    })
  }
}

export class FakeNix implements NixStore {
  readonly #packages: FakePackageSet
  readonly #journal: string[]
  /** Source trees in the store. */
  readonly sources = new Set<StorePath>()
  /** Sets of GC roots that are not released. */
  readonly roots = new Set<string>()
  /** Seconds: the limits of all calls of `realise`. */
  readonly timeouts: number[] = []
  /**
   * Called before each operation; may wait or throw. `realiseEach` calls it once for each image.
   * @param packages names of the packages that are realised, separated by spaces
   */
  before: (
    operation: 'realise' | 'realiseEach' | 'release' | 'addSource',
    packages: string,
    cause?: Cause,
  ) => void | Promise<void> = () => {}
  #added = 0

  constructor(packages: FakePackageSet, journal: string[]) {
    this.#packages = packages
    this.#journal = journal
  }

  async addSource(_roots: string, write: (folder: string) => Promise<void>): Promise<StorePath> {
    await write('/an/empty/folder')
    await this.before('addSource', '')
    this.#added += 1
    const path = `/nix/store/${String(this.#added).padStart(32, '0')}-source`
    this.sources.add(path)
    return path
  }

  async has(path: StorePath): Promise<boolean> {
    return this.sources.has(path)
  }

  async realise(packages: readonly EvaluatedPackage[], options: RealiseOptions): Promise<void> {
    const names = namesOf(packages)
    this.#journal.push(`realise ${names}`)
    this.timeouts.push(options.limit.seconds)
    this.roots.add(options.roots)
    await this.before('realise', names, options.cause)
  }

  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    { cause, signal }: RealiseEachOptions,
  ): Promise<void>[] {
    this.#journal.push(`realise each of ${images.map(namesOf).join(', ')}`)
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
    })
    aborted.catch(() => {})
    return images.map(async (packages) => {
      await Promise.race([this.before('realiseEach', namesOf(packages), cause), aborted])
    })
  }

  async closure(paths: readonly StorePath[]): Promise<Closure> {
    this.#journal.push('closure')
    const byPath = new Map(Object.keys(this.#packages).map((name) => [storePathOf(name), name]))
    const found = new Set<StorePath>(paths)
    for (const path of found)
      for (const next of this.#referencesOf(byPath.get(path))) found.add(next)
    return [...found].sort().map((path) => ({
      path,
      narSize: 5_000_000,
      references: this.#referencesOf(byPath.get(path)),
    }))
  }

  async release(roots: string): Promise<void> {
    this.#journal.push('release')
    await this.before('release', '')
    this.roots.delete(roots)
  }

  #referencesOf(name: string | undefined): StorePath[] {
    return (this.#packages[name ?? '']?.references ?? []).map(storePathOf)
  }
}

function namesOf(packages: readonly EvaluatedPackage[]): string {
  return packages.map(({ name }) => name).join(' ')
}
