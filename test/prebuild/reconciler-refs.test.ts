import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { day, main, PrebuildBench, World } from '../support/prebuild-bench.ts'
import { until } from '../support/until.ts'

let world: World
let bench: PrebuildBench

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  world = new World()
  bench = await PrebuildBench.create(world, { popular: 5 })
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
  vi.useRealTimers()
})

describe('refs that are reconciled at start-up', () => {
  test('a start builds images of young refs, and of the default branch at any age', async () => {
    world.push('refs/tags/release-1', 1, { images: ['a'] }, 31 * day)
    world.push('refs/tags/release-2', 2, { images: ['a'] }, 29 * day)
    world.push(main, 3, { images: ['a'] }, 400 * day)
    await bench.start()
    expect(bench.built.toSorted()).toEqual(['a@2', 'a@3'])
  })

  test('a start builds no image that has a record', async () => {
    world.push(main, 1, { images: ['a', 'b'] })
    await bench.pull('a', 1)
    await bench.start()
    expect(bench.built).toEqual(['a@1', 'b@1'])
  })

  test('a start builds what a crash left unbuilt, even if the remote is out of reach', async () => {
    world.isHolding = true
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    await until(() => world.held.length === 1)
    bench.kill()
    world.isHolding = false
    world.git.down = true
    await bench[Symbol.asyncDispose]()
    bench = await PrebuildBench.create(world)
    await bench.start()
    expect(bench.built).toEqual(['a@1'])
  })
})

describe('refs that are pushed', () => {
  test('a pushed ref is built however old its commit is', async () => {
    await bench.start()
    world.push('refs/tags/release-1', 1, { images: ['a'] }, 400 * day)
    await bench.reconcile()
    expect(bench.built).toEqual(['a@1'])
  })

  test('images that have become popular are built for the pushed ref only', async () => {
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    bench.pulls.count(parseImageName('liked'), 'a client')
    world.push('refs/tags/release-2', 2, { images: ['a'] })
    await bench.reconcile()
    expect(bench.built.toSorted()).toEqual(['a@1', 'a@2', 'liked@2'])
  })

  test('a ref that moves to a commit whose images are being built starts no second build', async () => {
    world.isHolding = true
    world.push(main, 1, { images: ['a'] })
    await bench.start()
    await until(() => world.held.length === 1)
    world.push('refs/tags/release-1', 1)
    await bench.reconcile()
    world.release()
    await bench.idle()
    expect(bench.started).toEqual(['1@1'])
  })

  test('a tag that is pushed to the waiting commit of a branch makes its images urgent', async () => {
    world.isHolding = true
    for (const n of [1, 2]) world.push(`refs/tags/release-${n}`, n, { images: ['a'] })
    world.push(main, 3, { images: ['a'] })
    await bench.start()
    expect(bench.queue.waitingFor('branch')).toBe(1)
    world.push('refs/tags/release-3', 3)
    await bench.reconcile()
    expect(bench.queue.waitingFor('branch')).toBe(0)
    expect(bench.queue.waitingFor('tag')).toBe(1)
  })

  test('refs that the settings or slipway.json exclude are not built', async () => {
    world.push('refs/tags/nightly', 1, { images: ['a'] })
    world.push('refs/heads/feature', 2, { images: ['a'] })
    world.push('refs/tags/release-1', 3, { images: ['a'], tags: ['v*'] })
    await bench.start()
    expect(bench.started).toEqual([])
  })
})

describe('refs that are deleted', () => {
  test('the waiting images of a deleted ref are dropped, and its batch is cancelled', async () => {
    world.isHolding = true
    for (const n of [1, 2, 3]) world.push(`refs/tags/release-${n}`, n, { images: ['a'] })
    await bench.start()
    await until(() => world.held.length === 2)
    expect(bench.queue.waitingFor('tag')).toBe(1)
    for (const n of [2, 3]) world.delete(`refs/tags/release-${n}`)
    await bench.reconcile()
    world.release()
    await bench.idle()
    vi.advanceTimersByTime(3_600_000)
    expect(bench.started).toEqual(['1@1', '1@2'])
    expect(bench.built).toEqual(['a@1'])
  })

  test('a failed image of a deleted ref is not tried again', async () => {
    world.failures.set('a', new Failure('unavailable', 'the builder machine does not answer'))
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    world.delete('refs/tags/release-1')
    await bench.reconcile()
    vi.advanceTimersByTime(3_600_000)
    expect(bench.started).toEqual(['1@1'])
  })
})
