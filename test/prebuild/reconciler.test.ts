import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { commitOf, main, PrebuildBench, World } from '../support/prebuild-bench.ts'
import { until } from '../support/until.ts'

let world: World
let bench: PrebuildBench

beforeEach(async () => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  })
  // The jitter of retries is then 1.
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  world = new World()
  bench = await PrebuildBench.create(world, { popular: 1 })
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Requests a reconcile, and runs all that needs no time: fetches of the fake git do not. */
async function request(times = 1): Promise<void> {
  for (let request = 0; request < times; request++) bench.reconciler.request()
  await vi.advanceTimersByTimeAsync(0)
}

describe('a request', () => {
  test('a request fetches, and builds the images of new refs', async () => {
    await bench.start()
    world.push('refs/tags/release-1', 1, { images: ['a', 'b'] })
    await bench.reconcile()
    expect(bench.started).toEqual(['2@1'])
    expect(bench.built.toSorted()).toEqual(['a@1', 'b@1'])
  })

  test('100 requests at once cause two fetches', async () => {
    await bench.start()
    const { fetches } = world.git
    await request(100)
    expect(world.git.fetches - fetches).toBe(2)
  })

  test('a request that fetches no new refs reads nothing', async () => {
    world.push(main, 1, { images: ['a'] })
    await bench.start()
    const reads: string[] = []
    world.git.before = (operation) => void reads.push(operation)
    world.store.calls.length = 0
    await request()
    expect([reads, world.store.calls]).toEqual([[], []])
  })
})

describe('a fetch that fails', () => {
  test('a failed fetch keeps the last refs, and is repeated after 2, 4 and 8 seconds', async () => {
    world.push(main, 1, { images: ['a'] })
    await bench.start()
    world.git.down = true
    world.push(main, 2, { images: ['b'] })
    await request()
    expect(bench.source.refs?.refs.get(main)).toBe(commitOf(1))
    for (const delay of [2000, 4000, 8000]) {
      const { fetches } = world.git
      await vi.advanceTimersByTimeAsync(delay - 1)
      expect(world.git.fetches).toBe(fetches)
      await vi.advanceTimersByTimeAsync(1)
      expect(world.git.fetches).toBe(fetches + 1)
    }
    world.git.down = false
    await bench.reconciled(async () => void (await vi.advanceTimersByTimeAsync(16_000)))
    expect(bench.built).toEqual(['a@1', 'b@2'])
  })

  test('a failed fetch is repeated at least every five minutes, and after 2 seconds again once a fetch succeeded', async () => {
    await bench.start()
    world.git.down = true
    await request()
    await vi.advanceTimersByTimeAsync(3_600_000)
    const { fetches } = world.git
    await vi.advanceTimersByTimeAsync(300_000)
    expect(world.git.fetches).toBe(fetches + 1)
    world.git.down = false
    await request()
    world.git.down = true
    const before = world.git.fetches
    await request()
    await vi.advanceTimersByTimeAsync(2000)
    expect(world.git.fetches).toBe(before + 2)
  })

  test('a failed fetch that 100 requests wait for doubles the delay once', async () => {
    await bench.start()
    world.git.down = true
    await request(100)
    const { fetches } = world.git
    await vi.advanceTimersByTimeAsync(4000)
    expect(world.git.fetches).toBe(fetches + 1)
  })
})

describe('a run', () => {
  test('a run that fails is repeated although the refs did not change', async () => {
    await bench.start()
    world.breakStorage()
    world.push(main, 1, { images: ['a'] })
    await bench.reconcile()
    expect(bench.log.at('warn').map(({ message }) => message)).toContain('reconcile failed')
    world.mendStorage()
    await vi.advanceTimersByTimeAsync(10_000)
    await until(() => bench.built.length > 0)
    expect(bench.built).toEqual(['a@1'])
  })

  test.each([0, 1, 2, 3, 4])(
    'refs that change %s microtasks after a run are reconciled by another run',
    async (microtasks) => {
      await bench.start()
      world.push(main, 1)
      world.git.files.set(`${commitOf(2)}:slipway.json`, '{"images": ["a"]}')
      const change = async () => {
        for (let count = 0; count < microtasks; count++) await undefined
        const refs = new RefTable([[main, commitOf(2)]], main)
        vi.spyOn(bench.source, 'refs', 'get').mockReturnValue(refs)
        bench.reconciler.run()
      }
      // The log line is the last thing that a run does.
      vi.spyOn(bench.log, 'info').mockImplementationOnce(() => void change())
      bench.reconciler.request()
      await until(() => bench.built.length > 0)
      expect(bench.built).toEqual(['a@2'])
    },
  )

  test('an invalid slipway.json is logged and leaves out only what its ref declares', async () => {
    world.push('refs/tags/release-1', 1, '{"images": ["a"], "tag": []}')
    world.push('refs/tags/release-2', 2, { images: ['b'] })
    bench.pulls.count(parseImageName('liked'), 'a client')
    await bench.start()
    expect(bench.built.toSorted()).toEqual(['b@2', 'liked@1', 'liked@2'])
    expect(bench.log.lines).toContainEqual({
      level: 'warn',
      message: 'slipway.json is invalid',
      fields: {
        ...{ ref: 'refs/tags/release-1', commit: commitOf(1) },
        failure: expect.stringContaining('"tag"'),
      },
    })
  })

  test('a run queues images of tags before images of branches', async () => {
    world.push(main, 1, { images: ['a'] })
    world.push('refs/tags/release-1', 2, { images: ['a'] })
    await bench.start()
    expect(bench.started).toEqual(['1@2', '1@1'])
  })
})
