import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { day, keyOf, PrebuildBench, World } from '../support/prebuild-bench.ts'
import { until } from '../support/until.ts'

const broken = new Failure('build-failed', 'a does not build')
const unavailable = new Failure('unavailable', 'the builder machine does not answer')

let world: World
let bench: PrebuildBench

beforeEach(async () => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
  })
  world = new World()
  bench = await PrebuildBench.create(world, { pollInterval: 60 })
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
  vi.useRealTimers()
})

describe('an image that does not build', () => {
  beforeEach(() => {
    world.failures.set('a', broken)
  })

  test('a broken image is not tried again for another ref at its commit, but by retry', async () => {
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    world.push('refs/tags/release-2', 1)
    await bench.reconcile()
    expect(bench.started).toEqual(['1@1'])
    world.failures.clear()
    await bench.reconciled(() => bench.reconciler.retry())
    expect(bench.built).toEqual(['a@1'])
  })

  test('a broken image is tried again after a restart', async () => {
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    await bench[Symbol.asyncDispose]()
    world.failures.clear()
    bench = await PrebuildBench.create(world)
    await bench.start()
    expect(bench.built).toEqual(['a@1'])
  })

  test('an image that is known not to build is tried again by a retry during a run', async () => {
    await bench.start()
    world.failures.clear()
    bench.workbench.failures.stopPrebuilds(keyOf('a', 1), broken)
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.reconcile()
    expect(bench.started).toEqual([])
    world.push('refs/tags/release-2', 2, { images: ['b'] })
    world.git.before = (operation) => {
      if (operation !== 'readFile') return
      world.git.before = () => {}
      bench.reconciler.retry()
    }
    await bench.reconcile()
    await until(() => bench.built.length === 2)
    expect(bench.built.toSorted()).toEqual(['a@1', 'b@2'])
  })

  test('a tag prebuilds an image whose pull failed before the tag was pushed', async () => {
    await bench.start()
    world.failures.clear()
    bench.workbench.failures.note(keyOf('a', 1), broken, 'pull')
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.reconcile()
    await until(() => bench.built.length === 1)
    expect(bench.built).toEqual(['a@1'])
  })

  test('a broken image is tried again by retry however old its commit is', async () => {
    await bench.start()
    world.push('refs/tags/release-1', 1, { images: ['a'] }, 400 * day)
    await bench.reconcile()
    world.failures.clear()
    await bench.reconciled(() => bench.reconciler.retry())
    expect(bench.built).toEqual(['a@1'])
  })

  test('a retry lets pulls of a broken image build it, too', async () => {
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    await expect(bench.pull('a', 1)).rejects.toBe(broken)
    world.isHolding = true
    bench.reconciler.retry()
    await bench.pull('a', 1)
    expect(bench.built).toEqual(['a@1'])
  })
})

describe('an image that fails for a passing cause', () => {
  test('a failed image is tried again while others of its batch are being built', async () => {
    await bench.learnAnImage()
    world.isHolding = true
    world.push('refs/tags/release-1', 1, { images: ['a', 'b'] })
    await bench.start()
    await until(() => world.held.length === 2)
    world.end(0, unavailable)
    await until(() => bench.log.at('warn').some(({ message }) => message === 'prebuild failed'))
    world.isHolding = false
    vi.advanceTimersByTime(5000)
    await until(() => bench.built.length > 0)
    expect(bench.built).toEqual(['a@1'])
    expect(world.held).toHaveLength(1)
  })

  test('a failed image is built as soon as the cause has passed, however long that took', async () => {
    world.failures.set('a', unavailable)
    world.push('refs/tags/release-1', 1, { images: ['a'] })
    await bench.start()
    for (let hour = 0; hour < 3; hour++) {
      await vi.advanceTimersByTimeAsync(3_600_000)
      await bench.idle()
    }
    world.failures.clear()
    await vi.advanceTimersByTimeAsync(600_000)
    await until(() => bench.built.length > 0)
    expect(bench.built).toEqual(['a@1'])
  })
})
