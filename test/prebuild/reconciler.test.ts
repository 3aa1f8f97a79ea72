import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { EvaluatedPackage } from '../../service/closure/package.ts'
import { PriorityLimiter } from '../../service/concurrency/priority-limiter.ts'
import { SingleFlight } from '../../service/concurrency/single-flight.ts'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'
import { FailedPrebuilds } from '../../service/prebuild/failed-prebuilds.ts'
import { Prebuilds } from '../../service/prebuild/prebuilds.ts'
import { PullCounter, pullRecord } from '../../service/prebuild/pull-counter.ts'
import { Reconciler } from '../../service/prebuild/reconciler.ts'
import { GitSource } from '../../service/source/git-source.ts'
import type { RepositoryRefs } from '../../service/source/ports.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { imageRecord } from '../../service/storage/image-record.ts'
import type { ImageRecord } from '../../service/storage/ports.ts'
import { Records } from '../../service/storage/records.ts'
import type { Log } from '../../service/telemetry/ports.ts'
import { Globs } from '../../service/text/globs.ts'
import { FakeGit } from '../support/fake-git.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { noMetrics } from '../support/no-metrics.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { silentLog } from '../support/silent-log.ts'

const day = 86_400_000
const recipe = { compression: 'none', layerBudget: 94 } as const
const main = 'refs/heads/main'
const commitOf = (n: number) => String(n).padStart(40, '0')
const inScope = (ref: string) => ref === main || ref.startsWith('refs/tags/release-')
const keyOf = (name: string, commit: string) =>
  imageKey({ id: commit }, parseImageName(name), recipe)
const descriptor = { mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 1 } as const

/** Lets everything happen that needs no time. */
async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

/** A mirror keeps what was fetched, and takes a moment to be read. */
class Mirror extends FakeGit {
  override async fetch(): Promise<RepositoryRefs> {
    const { remote } = this
    const fetched = await super.fetch()
    this.stored = remote
    return fetched
  }

  override async readFile(commit: string, path: string): Promise<string | undefined> {
    await turns(1)
    return super.readFile(commit, path)
  }
}

/** What outlives a restart: the remote, its mirror and the storage. And how builds go. */
class World {
  readonly git = new Mirror()
  readonly store = new MemoryStore()
  readonly images = new Records<ImageRecord>(this.store, 'images', imageRecord, silentLog)
  /** `name@commit` of each image that was built, and the names that were evaluated together. */
  readonly built: string[] = []
  readonly evaluated: string[] = []
  /** By image name: what its build ends with. */
  readonly faults = new Map<string, Failure>()
  /** Whether builds wait to be ended. */
  holding = false
  readonly held: (PromiseWithResolvers<void> & { images: string })[] = []
  readonly #refs = new Map<string, string>()
  readonly #stat = this.store.stat.bind(this.store)

  push(ref: string, commit: string, config?: object | string, age = 0): void {
    this.#refs.set(ref, commit)
    this.git.dates.set(ref, Date.now() - age)
    const text = typeof config === 'object' ? JSON.stringify(config) : config
    if (text !== undefined) this.git.files.set(`${commit}:slipway.json`, text)
    this.git.remote = new RefTable(this.#refs, main)
  }

  delete(ref: string): void {
    this.#refs.delete(ref)
    this.git.remote = new RefTable(this.#refs, main)
  }

  /** Has the storage be out of reach. */
  breakStorage(): void {
    this.store.stat = async () => {
      throw new Failure('unavailable', 'no answer')
    }
  }

  mendStorage(): void {
    this.store.stat = this.#stat
  }

  /** Ends when the test says so, or when the signal does. */
  async hold(images: string, signal?: AbortSignal): Promise<void> {
    if (!this.holding) return
    const held = { images, ...Promise.withResolvers<void>() }
    this.held.push(held)
    signal?.addEventListener('abort', () => held.reject(signal.reason))
    await held.promise
  }

  end(index: number, error?: Error): void {
    const [held] = this.held.splice(index, 1)
    if (error) held?.reject(error)
    else held?.resolve()
  }

  async keys(): Promise<Set<string>> {
    return new Set(await Array.fromAsync(this.images.keys()))
  }
}

interface ServiceOptions {
  readonly popular?: number
  readonly pollInterval?: number
  readonly log?: Log
}

/** One life of the process: what is in memory. */
class Service {
  readonly source: GitSource
  readonly prebuilds: Prebuilds
  readonly failed = new FailedPrebuilds()
  readonly pulls: PullCounter
  readonly reconciler: Reconciler
  readonly #builds = new SingleFlight<void>()
  #alive = true

  constructor(world: World, { popular = 0, pollInterval = 0, log = silentLog }: ServiceOptions) {
    const { git, store, images } = world
    this.source = new GitSource({
      repository: git,
      pollInterval,
      log,
      onRefs: () => this.reconciler.run(),
    })
    this.prebuilds = new Prebuilds({
      evaluation: {
        async batch(names: { text: string }[], { id }: { id: string }) {
          world.evaluated.push(`${names.map(({ text }) => text).join(' ')}@${id}`)
          return names.map(({ text }) => [{ name: text }])
        },
      } as never,
      nix: {
        realiseEach: (batch: EvaluatedPackage[][], { signal }: { signal?: AbortSignal }) =>
          batch.map(async ([one]) => world.hold(one?.name ?? '', signal)),
      } as never,
      planning: { isNew: async () => false } as never,
      builds: {
        claim: async () => ({ release: async () => {} }),
        get: async ({ name, revision, imageKey: key }: { name: { text: string } } & Built) => {
          await this.#builds.run(key, async () => {
            const fault = world.faults.get(name.text)
            if (fault) throw fault
            if (!this.#alive || (await images.has(key))) return
            world.built.push(`${name.text}@${revision.id}`)
            await images.replace(key, recordOf(name.text, revision.id))
          })
        },
        remember() {},
      } as never,
      failed: this.failed,
      nixLimiter: new PriorityLimiter(2),
      limit: { seconds: 3600, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
      concurrency: 2,
      log,
    })
    this.pulls = new PullCounter({
      records: new Records(store, 'pulls', pullRecord, log),
      instance: 'one',
      log,
    })
    this.reconciler = new Reconciler({
      source: this.source,
      repository: git,
      images,
      pulls: this.pulls,
      prebuilds: this.prebuilds,
      failed: this.failed,
      forgetFailures() {},
      scope: { tags: new Globs(['release-*']), maxAge: 30 * day },
      popular,
      recipe,
      metrics: noMetrics,
      log,
    })
  }

  async start(): Promise<void> {
    await this.source.start()
    if (this.#alive) this.reconciler.run()
  }

  stop(): void {
    this.#alive = false
    this.source.stop()
    this.reconciler.stop()
    this.prebuilds.stop()
  }
}

interface Built {
  readonly revision: { readonly id: string }
  readonly imageKey: string
}

function recordOf(name: string, revision: string): ImageRecord {
  return {
    name,
    packages: [name],
    architecture: 'amd64',
    revision,
    oci: descriptor,
    docker: descriptor,
    size: 1,
  }
}

let world: World
let service: Service

async function started(options: ServiceOptions = {}): Promise<Service> {
  service = new Service(world, options)
  await service.start()
  await turns()
  return service
}

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  })
  // Then jitter neither shortens nor lengthens.
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  world = new World()
})
afterEach(() => {
  service.stop()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe('a request', () => {
  test('fetches, and has what is new built', async () => {
    await started()
    world.push('refs/tags/release-1', commitOf(1), { images: ['a', 'b'] })
    service.reconciler.request()
    await turns()
    expect(world.evaluated).toEqual([`a b@${commitOf(1)}`])
    expect(world.built).toEqual([`a@${commitOf(1)}`, `b@${commitOf(1)}`])
  })

  test('costs one fetch, and one more, however many there are', async () => {
    await started()
    const { fetches } = world.git
    for (let request = 0; request < 100; request++) service.reconciler.request()
    await turns()
    expect(world.git.fetches - fetches).toBe(2)
  })

  test('without news has nothing looked at', async () => {
    world.push(main, commitOf(1), { images: ['a'] })
    await started()
    const dates = vi.spyOn(world.git, 'refDates')
    service.reconciler.request()
    await turns()
    expect(dates).not.toHaveBeenCalled()
  })
})

describe('a fetch that fails', () => {
  test('leaves the last table in force, and is tried again later and later', async () => {
    world.push(main, commitOf(1), { images: ['a'] })
    await started()
    world.git.down = true
    world.push(main, commitOf(2), { images: ['b'] })
    service.reconciler.request()
    await turns()
    expect(service.source.refs?.refs.get(main)).toBe(commitOf(1))
    for (const delay of [2000, 4000, 8000]) {
      const { fetches } = world.git
      await vi.advanceTimersByTimeAsync(delay - 1)
      expect(world.git.fetches).toBe(fetches)
      await vi.advanceTimersByTimeAsync(1)
      await turns()
      expect(world.git.fetches).toBe(fetches + 1)
    }
    world.git.down = false
    await vi.advanceTimersByTimeAsync(16_000)
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`, `b@${commitOf(2)}`])
  })

  test('is never tried less often than every five minutes, and soon again after a success', async () => {
    await started()
    world.git.down = true
    service.reconciler.request()
    await vi.advanceTimersByTimeAsync(3_600_000)
    const { fetches } = world.git
    await vi.advanceTimersByTimeAsync(300_000)
    expect(world.git.fetches).toBe(fetches + 1)
    world.git.down = false
    service.reconciler.request()
    await turns()
    world.git.down = true
    const before = world.git.fetches
    service.reconciler.request()
    await vi.advanceTimersByTimeAsync(2000)
    expect(world.git.fetches).toBe(before + 2)
  })

  test('is one failure, however many asked for it', async () => {
    await started()
    world.git.down = true
    for (let request = 0; request < 100; request++) service.reconciler.request()
    await turns()
    const { fetches } = world.git
    await vi.advanceTimersByTimeAsync(4000)
    expect(world.git.fetches).toBe(fetches + 1)
  })
})

describe('a run', () => {
  test('that fails is tried again, though there is no news', async () => {
    await started()
    world.breakStorage()
    world.push(main, commitOf(1), { images: ['a'] })
    service.reconciler.request()
    await turns()
    world.mendStorage()
    await vi.advanceTimersByTimeAsync(10_000)
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })

  test.each([0, 1, 2, 3, 4])(
    'that ends as news comes, %s steps later, is followed by another',
    async (steps) => {
      const log = new RecordingLog()
      await started({ log })
      world.push(main, commitOf(1))
      const news = async () => {
        for (let step = 0; step < steps; step++) await undefined
        vi.spyOn(service.source, 'refs', 'get').mockReturnValue(
          new RefTable([[main, commitOf(2)]], main),
        )
        service.reconciler.run()
      }
      world.git.files.set(`${commitOf(2)}:slipway.json`, '{"images": ["a"]}')
      vi.spyOn(log, 'info').mockImplementationOnce(() => void news())
      service.reconciler.request()
      await turns()
      expect(world.built).toEqual([`a@${commitOf(2)}`])
    },
  )

  test('with an invalid slipway.json leaves out what that ref declares, and nothing else', async () => {
    const log = new RecordingLog()
    service = new Service(world, { log, popular: 1 })
    service.pulls.count(parseImageName('liked'), 'somebody')
    world.push('refs/tags/release-1', commitOf(1), '{"images": ["a"], "tag": []}')
    world.push('refs/tags/release-2', commitOf(2), { images: ['b'] })
    await service.start()
    await turns()
    expect(world.built.toSorted()).toEqual([
      `b@${commitOf(2)}`,
      `liked@${commitOf(1)}`,
      `liked@${commitOf(2)}`,
    ])
    expect(log.at('warn')).toEqual([
      {
        level: 'warn',
        message: 'slipway.json is invalid',
        fields: expect.objectContaining({ ref: 'refs/tags/release-1', commit: commitOf(1) }),
      },
    ])
  })

  test('builds for tags before branches', async () => {
    world.push(main, commitOf(1), { images: ['a'] })
    world.push('refs/tags/release-1', commitOf(2), { images: ['a'] })
    await started()
    expect(world.built).toEqual([`a@${commitOf(2)}`, `a@${commitOf(1)}`])
  })
})

describe('a ref', () => {
  test('that did not move has nothing queued, whatever has become popular', async () => {
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started({ popular: 5 })
    await service.pulls.load()
    service.pulls.count(parseImageName('liked'), 'somebody')
    world.push('refs/tags/release-2', commitOf(2), { images: ['a'] })
    service.reconciler.request()
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`, `a@${commitOf(2)}`, `liked@${commitOf(2)}`])
  })

  test('that is deleted has its waiting images dropped, and its batch ended', async () => {
    world.holding = true
    for (const n of [1, 2, 3]) world.push(`refs/tags/release-${n}`, commitOf(n), { images: ['a'] })
    await started()
    expect(service.prebuilds.waiting).toBe(1)
    for (const n of [2, 3]) world.delete(`refs/tags/release-${n}`)
    service.reconciler.request()
    await turns()
    expect(service.prebuilds.waiting).toBe(0)
    world.holding = false
    while (world.held.length > 0) world.end(0)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })

  test('that is deleted has no image tried again that failed', async () => {
    world.faults.set('a', new Failure('unavailable', 'the storage is away'))
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started()
    world.delete('refs/tags/release-1')
    service.reconciler.request()
    await turns()
    world.faults.clear()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(world.built).toEqual([])
  })

  test('that comes to a commit whose images are being built has them built once', async () => {
    world.holding = true
    world.push(main, commitOf(1), { images: ['a'] })
    await started()
    world.push('refs/tags/release-1', commitOf(1))
    service.reconciler.request()
    await turns()
    world.end(0)
    await turns()
    expect(world.evaluated).toEqual([`a@${commitOf(1)}`])
  })

  test('that is a tag, and comes to a commit that waits for a branch, has it go before branches', async () => {
    world.holding = true
    for (const n of [1, 2]) world.push(`refs/tags/release-${n}`, commitOf(n), { images: ['a'] })
    world.push(main, commitOf(3), { images: ['a'] })
    await started()
    expect(service.prebuilds.waitingFor('branch')).toBe(1)
    world.push('refs/tags/release-3', commitOf(3))
    service.reconciler.request()
    await turns()
    expect(service.prebuilds.waitingFor('branch')).toBe(0)
    expect(service.prebuilds.waitingFor('tag')).toBe(1)
  })

  test('out of scope, or left out by slipway.json, has nothing built', async () => {
    world.push('refs/tags/nightly', commitOf(1), { images: ['a'] })
    world.push('refs/heads/feature', commitOf(2), { images: ['a'] })
    world.push('refs/tags/release-1', commitOf(3), { images: ['a'], tags: ['v*'] })
    await started()
    expect(world.built).toEqual([])
  })
})

describe('at start-up', () => {
  test('only young refs are looked at, and the default branch', async () => {
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] }, 31 * day)
    world.push('refs/tags/release-2', commitOf(2), { images: ['a'] }, 29 * day)
    world.push(main, commitOf(3), { images: ['a'] }, 400 * day)
    await started()
    expect(world.built).toEqual([`a@${commitOf(2)}`, `a@${commitOf(3)}`])
  })

  test('a ref that is pushed later is looked at however old its commit is', async () => {
    await started()
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] }, 400 * day)
    service.reconciler.request()
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })

  test('what has a record is not built', async () => {
    world.push(main, commitOf(1), { images: ['a', 'b'] })
    await world.images.replace(keyOf('a', commitOf(1)), recordOf('a', commitOf(1)))
    await started()
    expect(world.built).toEqual([`b@${commitOf(1)}`])
  })

  test('the mirror is enough to find what a crash left unbuilt', async () => {
    world.holding = true
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started()
    service.stop()
    world.held.length = 0
    world.holding = false
    world.git.down = true
    await started()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })
})

describe('an image that does not build', () => {
  const broken = new Failure('build-failed', 'a is broken')

  test('is not tried again until somebody says so', async () => {
    world.faults.set('a', broken)
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started()
    world.push('refs/tags/release-2', commitOf(1))
    service.reconciler.request()
    await turns()
    expect(world.evaluated).toEqual([`a@${commitOf(1)}`])
    world.faults.clear()
    service.reconciler.retry()
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })

  test('is tried again when that is said while a run is under way', async () => {
    world.faults.set('a', broken)
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started()
    world.faults.clear()
    world.push('refs/tags/release-2', commitOf(2))
    vi.spyOn(world.git, 'readFile').mockImplementationOnce(async () => {
      service.reconciler.retry()
      return '{"images": ["b"]}'
    })
    service.reconciler.request()
    await turns()
    expect(world.built.toSorted()).toEqual([`a@${commitOf(1)}`, `b@${commitOf(2)}`])
  })

  test('is tried again when somebody says so, however old its commit is', async () => {
    await started()
    world.faults.set('a', broken)
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] }, 400 * day)
    service.reconciler.request()
    await turns()
    world.faults.clear()
    service.reconciler.retry()
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })
})

describe('an image that fails for a cause which may pass', () => {
  test('is tried again while others of its batch are still being built', async () => {
    world.holding = true
    world.push('refs/tags/release-1', commitOf(1), { images: ['a', 'b'] })
    await started()
    world.end(0, new Failure('unavailable', 'the storage is away'))
    await turns()
    world.holding = false
    await vi.advanceTimersByTimeAsync(5000)
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })

  test('is built when the cause has passed, however long that took', async () => {
    world.faults.set('a', new Failure('unavailable', 'the storage is away'))
    world.push('refs/tags/release-1', commitOf(1), { images: ['a'] })
    await started({ pollInterval: 60 })
    await vi.advanceTimersByTimeAsync(1_000_000)
    world.faults.clear()
    await vi.advanceTimersByTimeAsync(1_000_000)
    await turns()
    expect(world.built).toEqual([`a@${commitOf(1)}`])
  })
})

const refs = [
  main,
  'refs/heads/feature',
  'refs/tags/release-1',
  'refs/tags/release-2',
  'refs/tags/nightly',
]
const configs = [
  undefined,
  { images: ['a'] },
  { images: ['a', 'b', 'c'] },
  { images: ['b'], tags: ['release-1'] },
  { images: ['c'], branches: [] },
  '{"images": ["No Name"]}',
]

type Step =
  | { readonly do: 'push'; readonly ref: string; readonly commit: number }
  | { readonly do: 'delete'; readonly ref: string }
  | { readonly do: 'build ends' | 'build fails'; readonly which: number }
  | { readonly do: 'time passes'; readonly seconds: number }
  | { readonly do: 'turns pass'; readonly count: number }
  | {
      readonly do:
        | 'webhook'
        | 'remote goes away'
        | 'remote is back'
        | 'fetches hang'
        | 'fetches go on'
        | 'storage goes away'
        | 'storage is back'
        | 'restart'
    }

const ref = fc.constantFrom(...refs)
const which = fc.nat(10)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('push'), ref, commit: fc.nat(configs.length - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete'), ref }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('build ends'), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('build fails'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('time passes'), seconds: fc.constantFrom(1, 10, 60) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('turns pass'), count: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('webhook') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'remote goes away',
        'remote is back',
        'fetches hang',
        'fetches go on',
        'storage goes away',
        'storage is back',
        'restart',
      ),
    }),
  },
) as fc.Arbitrary<Step>

/** Plays the steps, and knows what may be built and what has to be. */
class Play {
  readonly world = new World()
  service: Service
  /** Keys of the images that a ref in scope declared at some time. */
  readonly allowed = new Set<string>()
  readonly #hurdles = new Map<string, number>()
  #fetching: PromiseWithResolvers<void> | undefined

  constructor() {
    this.world.holding = true
    this.world.push(main, commitOf(0))
    this.world.git.stored = this.world.git.remote
    this.service = this.#serve()
  }

  take(step: Step): void | Promise<void> {
    const { world, service } = this
    const { git, held } = world
    switch (step.do) {
      case 'push':
        world.push(step.ref, commitOf(step.commit), configs[step.commit])
        return this.#allow()
      case 'delete':
        world.delete(step.ref)
        return this.#allow()
      case 'build ends':
        return world.end(step.which % Math.max(held.length, 1))
      case 'build fails':
        return this.#fail(step.which % Math.max(held.length, 1))
      case 'time passes':
        return void vi.advanceTimersByTime(step.seconds * 1000)
      case 'turns pass':
        return turns(step.count)
      case 'webhook':
        return service.reconciler.request()
      case 'remote goes away':
        git.down = true
        return
      case 'remote is back':
        git.down = false
        return
      case 'fetches hang':
        this.#fetching ??= Promise.withResolvers()
        git.gate = this.#fetching.promise
        return
      case 'fetches go on':
        return this.#goOn()
      case 'storage goes away':
        return world.breakStorage()
      case 'storage is back':
        return world.mendStorage()
      case 'restart':
        service.stop()
        held.length = 0
        this.service = this.#serve()
    }
  }

  /** One last fetch, and all the time in the world. */
  async settle(): Promise<void> {
    this.world.git.down = false
    this.world.mendStorage()
    this.#goOn()
    await turns()
    await this.service.source.refresh()
    this.world.holding = false
    for (let minute = 0; minute < 5; minute++) {
      while (this.world.held.length > 0) this.world.end(0)
      await turns()
      vi.advanceTimersByTime(60_000)
    }
    await turns()
  }

  /** Keys of the images that the refs of now declare. */
  wanted(): Set<string> {
    const keys = new Set<string>()
    for (const [ref, commit] of this.world.git.remote.refs) {
      const config = configs[Number(commit)]
      if (!inScope(ref) || typeof config !== 'object') continue
      const globs = ref === main ? config.branches : config.tags
      const short = ref.replace(/^refs\/(heads|tags)\//, '')
      if (globs && !(globs as string[]).includes(short)) continue
      for (const name of config.images) keys.add(keyOf(name, commit))
    }
    return keys
  }

  #serve(): Service {
    const service = new Service(this.world, { pollInterval: 60 })
    service.start().catch(() => {})
    return service
  }

  #allow(): void {
    for (const key of this.wanted()) this.allowed.add(key)
  }

  #goOn(): void {
    this.world.git.gate = undefined
    this.#fetching?.resolve()
    this.#fetching = undefined
  }

  /** An image is tried four times; the last time shall be good. */
  #fail(index: number): void {
    const name = this.world.held[index]?.images ?? ''
    const hurdles = this.#hurdles.get(name) ?? 0
    this.#hurdles.set(name, hurdles + 1)
    this.world.end(index, hurdles < 3 ? new Failure('unavailable', 'a hurdle') : undefined)
  }
}

describe('whatever happens', () => {
  test('in the end the images exist that should, and none that never should have', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const play = new Play()
        try {
          for (const one of steps) await play.take(one)
          await play.settle()
          const keys = await play.world.keys()
          expect([...play.wanted().difference(keys)]).toEqual([])
          expect([...keys.difference(play.allowed)]).toEqual([])
          // Each once: what has a record is left alone.
          expect(play.world.built).toHaveLength(keys.size)
        } finally {
          play.service.stop()
        }
      }),
      { numRuns: 100 },
    )
  }, 30_000)
})
