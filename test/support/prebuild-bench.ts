/** The prebuild room over a workbench. Fakes are Nix, the packer, git and the back end of the storage only. */

import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'
import { type Batch, BuildBatch } from '../../service/prebuild/build-batch.ts'
import { DeclaredImages } from '../../service/prebuild/declared-images.ts'
import { DesiredImages, type Prebuild } from '../../service/prebuild/desired-images.ts'
import { PrebuildQueue } from '../../service/prebuild/prebuild-queue.ts'
import { PullCounter, pullRecord } from '../../service/prebuild/pull-counter.ts'
import { Reconciler } from '../../service/prebuild/reconciler.ts'
import { GitRefStates } from '../../service/prebuild/ref-states.ts'
import { GitSource } from '../../service/source/git-source.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { Records } from '../../service/storage/records.ts'
import { Globs } from '../../service/text/globs.ts'
import { FakeGit } from './fake-git.ts'
import { storePathOf } from './fake-nix.ts'
import { MemoryStore } from './memory-store.ts'
import { noMetrics } from './no-metrics.ts'
import { ObservedStore } from './observed-store.ts'
import type { RecordingLog } from './recording-log.ts'
import type { SharedStore } from './shared-store.ts'
import { until } from './until.ts'
import { Workbench } from './workbench.ts'

export const day = 86_400_000
export const main = 'refs/heads/main'
const recipe = { compression: 'gzip', layerBudget: 94 } as const
const packages = Object.fromEntries(
  ['a', 'b', 'c', 'd', 'first', 'liked'].map((name) => [name, {}]),
)

export const commitOf = (n: number): string => String(n).padStart(40, '0')

export const keyOf = (name: string, commit: number): string =>
  imageKey({ id: commitOf(commit) }, parseImageName(name), recipe)

/** @param ref full name of the ref that wants the image */
export function prebuildOf(name: string, commit: number, ref = 'refs/tags/release-1'): Prebuild {
  const revision = { id: commitOf(commit), ref }
  return { imageKey: keyOf(name, commit), name: parseImageName(name), revision }
}

interface HeldBuilder extends PromiseWithResolvers<void> {
  readonly packages: string
}

/** Everything that outlives a restart of the service: the remote, its mirror, the storage and the builders. */
export class World {
  readonly git = new FakeGit()
  readonly #memory = new MemoryStore()
  readonly store = new ObservedStore(this.#memory)
  /** Package → failure of its builder in a prebuild. */
  readonly failures = new Map<string, Failure>()
  /** Makes builders of prebuilds wait in `held`. */
  isHolding = false
  readonly held: HeldBuilder[] = []
  readonly #refs = new Map<string, string>()

  /**
   * Moves a ref of the remote.
   * @param config content of `slipway.json` at the commit
   * @param age of the ref, in milliseconds
   */
  push(ref: string, commit: number, config?: object | string, age = 0): void {
    this.#refs.set(ref, commitOf(commit))
    this.git.dates.set(ref, Date.now() - age)
    const text = typeof config === 'object' ? JSON.stringify(config) : config
    if (text !== undefined) this.git.files.set(`${commitOf(commit)}:slipway.json`, text)
    this.git.remote = new RefTable(this.#refs, main)
  }

  delete(ref: string): void {
    this.#refs.delete(ref)
    this.git.remote = new RefTable(this.#refs, main)
  }

  breakStorage(): void {
    this.store.before = () => {
      throw new Failure('unavailable', 'the storage does not answer')
    }
  }

  mendStorage(): void {
    this.store.before = () => {}
  }

  async build(names: string): Promise<void> {
    if (this.isHolding) {
      const builder = { packages: names, ...Promise.withResolvers<void>() }
      this.held.push(builder)
      await builder.promise
    }
    const failure = this.failures.get(names)
    if (failure) throw failure
  }

  /** Ends a builder that is held. */
  end(index: number, failure?: Failure): void {
    const [builder] = this.held.splice(index, 1)
    if (failure) builder?.reject(failure)
    else builder?.resolve()
  }

  /** Ends all builders that are held, and holds no more. */
  release(): void {
    this.isHolding = false
    while (this.held.length > 0) this.end(0)
  }

  /** Keys of the images that are stored. */
  get imageKeys(): Set<string> {
    const keys = [...this.#memory.objects.keys()].filter((key) => key.startsWith('images/'))
    return new Set(keys.map((key) => key.slice('images/'.length)))
  }
}

export interface PrebuildBenchOptions {
  readonly popular?: number
  /** Seconds; 0 turns the timer off. @default 0 */
  readonly pollInterval?: number
  /** Most batches at a time. @default 2 */
  readonly concurrency?: number
  /** Storage that other instances share. @default the world's storage */
  readonly shared?: SharedStore
}

/** Counts the batches that run. */
class ObservedBatches extends BuildBatch {
  running = 0

  override async build(batch: Batch): Promise<void> {
    this.running += 1
    await super.build(batch)
    this.running -= 1
  }
}

/** One life of the service, from a start to a stop. */
export class PrebuildBench implements AsyncDisposable {
  readonly world: World
  readonly workbench: Workbench
  readonly log: RecordingLog
  readonly source: GitSource
  readonly batches: ObservedBatches
  readonly queue: PrebuildQueue
  readonly pulls: PullCounter
  readonly reconciler: Reconciler
  readonly refs: GitRefStates

  private constructor(world: World, workbench: Workbench, options: PrebuildBenchOptions) {
    this.world = world
    this.workbench = workbench
    this.log = workbench.log
    const { git } = world
    const { popular = 0, pollInterval = 0, concurrency = 2 } = options
    const { log, failures, store, imageRecords: images } = workbench
    workbench.nix.before = (operation, names) =>
      operation === 'realiseEach' ? world.build(names) : undefined
    const onRefs = () => this.reconciler.run()
    this.source = new GitSource({ repository: git, pollInterval, log, onRefs })
    this.batches = new ObservedBatches({
      evaluation: workbench.evaluation,
      nix: workbench.nix,
      builds: workbench.imageBuilds,
      failures,
      planning: workbench.planning,
      nixLimiter: workbench.nixLimiter,
      limit: { seconds: 3600, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
      log,
    })
    this.queue = new PrebuildQueue({ batches: this.batches, failures, concurrency, log })
    const records = new Records(store, 'pulls', pullRecord, log)
    this.pulls = new PullCounter({ records, instance: 'one', log })
    const declared = new DeclaredImages(git)
    const following = {
      ...{ source: this.source, repository: git, images, queue: this.queue, failures, log },
      desired: new DesiredImages({ declared, pulls: this.pulls, popular, recipe }),
      scope: { tags: new Globs(['release-*']), maxAge: 30 * day },
      metrics: noMetrics,
    }
    this.reconciler = new Reconciler(following)
    this.refs = new GitRefStates(following)
  }

  static async create(world: World, options: PrebuildBenchOptions = {}): Promise<PrebuildBench> {
    let bench: PrebuildBench | undefined
    const { shared } = options
    const workbench = await Workbench.create({
      packages,
      store: shared ?? world.store,
      ...(shared ? { versioned: shared.versioned } : {}),
      onBuild: (key, build) => bench?.queue.take(key, build),
    })
    bench = new PrebuildBench(world, workbench, options)
    return bench
  }

  /** Starts the source and the reconciler, and waits like `reconciled`. */
  async start(): Promise<void> {
    await this.reconciled(async () => {
      await this.source.start()
      this.reconciler.run()
    })
  }

  /** Requests a reconcile after a push, and waits like `reconciled`. */
  async reconcile(): Promise<void> {
    await this.reconciled(() => this.reconciler.request())
  }

  /** Waits until a run that `start` causes has ended and, unless builders are held, the queue is empty. */
  async reconciled(start: () => void | Promise<void>): Promise<void> {
    const before = this.#reconciles()
    await start()
    await until(() => this.#reconciles() > before)
    if (!this.world.isHolding) await this.idle()
  }

  /** Waits until no prebuild waits or is built. Retries that are scheduled for later do not count. */
  async idle(): Promise<void> {
    const waiting = () => this.queue.waitingFor('tag') + this.queue.waitingFor('branch')
    await until(() => this.batches.running === 0 && waiting() === 0)
  }

  /** Images that this life built, as `name@number of the commit`, in order. */
  get built(): string[] {
    return this.#logged('image built').map(({ image, revision }) => `${image}@${Number(revision)}`)
  }

  /** Batches that this life started, as `images@number of the commit`. */
  get started(): string[] {
    return this.#logged('prebuilding').map(
      ({ images, revision }) => `${images}@${Number(revision)}`,
    )
  }

  /** Pulls an image of a commit like a client. */
  async pull(name: string, commit: number): Promise<void> {
    this.workbench.source.refs.set(commitOf(commit), commitOf(commit))
    await this.workbench.image(name, commitOf(commit))
  }

  /** Lets the planner know an image, so that the next batch is not the first release of the registry. */
  async learnAnImage(): Promise<void> {
    const closure = [{ path: storePathOf('known'), narSize: 1, references: [] }]
    await this.workbench.planning.learn([{ name: 'known', closure }])
  }

  /** Stops like a shutdown. */
  stop(): void {
    this.source.stop()
    this.reconciler.stop()
    this.queue.stop()
  }

  /** Stops like a crash: work that still runs has no effect. */
  kill(): void {
    this.stop()
    const fail = () => {
      throw new Error('the service was killed')
    }
    this.workbench.store.before = fail
    this.workbench.nix.before = fail
    this.world.held.length = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill()
    await this.workbench[Symbol.asyncDispose]()
  }

  #reconciles(): number {
    return this.#logged('reconciled').length + this.#logged('reconcile failed').length
  }

  #logged(message: string): LoggedFields[] {
    const lines = this.log.lines.filter((line) => line.message === message)
    return lines.map(({ fields }) => fields as LoggedFields)
  }
}

/** Fields of the log lines that this file reads. */
interface LoggedFields {
  readonly image: string
  readonly images: number
  readonly revision: string
}
