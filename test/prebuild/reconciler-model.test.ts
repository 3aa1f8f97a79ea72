/**
 * Plays random steps against the prebuild room: pushes, failed builds, outages, restarts. Afterwards, when all
 * outages are over, the storage must hold the images that git says should exist.
 */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { shortRefName } from '../../service/image/ref-name.ts'
import { keyOf, main, PrebuildBench, World } from '../support/prebuild-bench.ts'

const refs = [
  main,
  'refs/heads/feature',
  'refs/tags/release-1',
  'refs/tags/release-2',
  'refs/tags/nightly',
]
const isInScope = (ref: string) => ref === main || ref.startsWith('refs/tags/release-')

interface Config {
  readonly images: readonly string[]
  readonly tags?: readonly string[]
  readonly branches?: readonly string[]
}

/** Content of `slipway.json` by commit. */
const configs: readonly (Config | string | undefined)[] = [
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
  | { readonly do: 'webhook' | Outage | 'restart' }

type Outage =
  | 'remote goes away'
  | 'remote is back'
  | 'fetches hang'
  | 'fetches go on'
  | 'storage goes away'
  | 'storage is back'

const ref = fc.constantFrom(...refs)
const which = fc.nat(10)
const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      ref,
      commit: fc.nat(configs.length - 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), ref }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('build ends' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('build fails' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('time passes' as const),
      seconds: fc.constantFrom(1, 10, 60),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('turns pass' as const),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('webhook' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'remote goes away' as const,
        'remote is back' as const,
        'fetches hang' as const,
        'fetches go on' as const,
        'storage goes away' as const,
        'storage is back' as const,
        'restart' as const,
      ),
    }),
  },
)

class Play implements AsyncDisposable {
  readonly world = new World()
  /** Keys of the images that a ref in scope declared at some time. */
  readonly allowed = new Set<string>()
  readonly #lives: PrebuildBench[] = []
  #fetches: PromiseWithResolvers<void> | undefined

  /** Starts with a mirror, so that the service can start while the remote is out of reach. */
  static async begin(): Promise<Play> {
    const play = new Play()
    play.world.isHolding = true
    play.world.push(main, 0)
    play.world.git.stored = play.world.git.remote
    await play.#startService()
    return play
  }

  take(step: Step): void | Promise<void> {
    const { world } = this
    switch (step.do) {
      case 'push':
        world.push(step.ref, step.commit, configs[step.commit])
        return this.#allow()
      case 'delete':
        world.delete(step.ref)
        return this.#allow()
      case 'build ends':
        return world.end(step.which % Math.max(world.held.length, 1))
      case 'build fails':
        return world.end(step.which % Math.max(world.held.length, 1), builderFailure)
      case 'time passes':
        return void vi.advanceTimersByTime(step.seconds * 1000)
      case 'turns pass':
        return turns(step.count)
      case 'webhook':
        return this.#service.reconciler.request()
      case 'restart':
        this.#service.kill()
        return this.#startService()
      case 'remote goes away':
      case 'remote is back':
        world.git.down = step.do === 'remote goes away'
        return
      case 'fetches hang':
        this.#fetches ??= Promise.withResolvers()
        world.git.gate = this.#fetches.promise
        return
      case 'fetches go on':
        return this.#continueFetches()
      case 'storage goes away':
        return world.breakStorage()
      case 'storage is back':
        return world.mendStorage()
    }
  }

  /** Ends all outages, and lets time pass until the wanted images exist: at most half an hour. */
  async end(): Promise<void> {
    const { world } = this
    world.git.down = false
    world.mendStorage()
    this.#continueFetches()
    world.release()
    for (let minute = 0; minute < 30; minute++) {
      await vi.advanceTimersByTimeAsync(60_000)
      await turns(20)
      await this.#service.idle()
      if (this.wanted().isSubsetOf(world.imageKeys)) return
    }
  }

  /** Returns the keys of the images that the refs of the remote declare now. */
  wanted(): Set<string> {
    const keys = new Set<string>()
    for (const [ref, commit] of this.world.git.remote.refs) {
      const config = configs[Number(commit)]
      if (!isInScope(ref) || typeof config !== 'object') continue
      const names = ref === main ? config.branches : config.tags
      if (names && !names.includes(shortRefName(ref))) continue
      for (const image of config.images) keys.add(keyOf(image, Number(commit)))
    }
    return keys
  }

  get #service(): PrebuildBench {
    return this.#lives.at(-1) as PrebuildBench
  }

  async #startService(): Promise<void> {
    const service = await PrebuildBench.create(this.world, { pollInterval: 60 })
    this.#lives.push(service)
    // Not awaited: a start waits for a fetch that hangs.
    void service.source.start().then(() => service.reconciler.run())
  }

  #allow(): void {
    for (const key of this.wanted()) this.allowed.add(key)
  }

  #continueFetches(): void {
    this.world.git.gate = undefined
    this.#fetches?.resolve()
    this.#fetches = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const life of this.#lives) await life[Symbol.asyncDispose]()
  }
}

const builderFailure = new Failure('unavailable', 'the builder machine does not answer')

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  })
})
afterEach(() => {
  vi.useRealTimers()
})

test('after any history the declared images exist, each built once, and no other image', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { maxLength: 40, size: 'max' }), async (steps) => {
      await using play = await Play.begin()
      for (const step of steps) await play.take(step)
      await play.end()
      const keys = play.world.imageKeys
      expect([...play.wanted().difference(keys)]).toEqual([])
      expect([...keys.difference(play.allowed)]).toEqual([])
      const records = play.world.store.calls.filter((call) => call.startsWith('stored images/'))
      expect(records).toHaveLength(keys.size)
    }),
    { numRuns: 100 },
  )
}, 60_000)
