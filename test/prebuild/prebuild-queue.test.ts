import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import {
  commitOf,
  keyOf,
  main,
  PrebuildBench,
  prebuildOf,
  World,
} from '../support/prebuild-bench.ts'
import { until } from '../support/until.ts'

const unavailable = new Failure('unavailable', 'the builder machine does not answer')
const broken = new Failure('build-failed', 'a does not build')
const tag = 'refs/tags/release-1'

let world: World
let bench: PrebuildBench

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  world = new World()
  bench = await PrebuildBench.create(world, { concurrency: 1 })
})
afterEach(async () => {
  await bench[Symbol.asyncDispose]()
  vi.useRealTimers()
})

/** Fills the only place for a batch, so that images which are added next wait. */
async function occupy(): Promise<void> {
  world.isHolding = true
  bench.queue.add([prebuildOf('first', 1)])
  await until(() => world.held.length === 1)
}

/** Ends the first batch, and waits until all others have ended. */
async function releaseAll(): Promise<void> {
  world.release()
  await bench.idle()
}

describe('the order of the queue', () => {
  test('waiting images of one commit are built in one batch', async () => {
    bench.queue.add([prebuildOf('a', 1), prebuildOf('b', 1), prebuildOf('c', 2)])
    await bench.idle()
    expect(bench.started).toEqual(['2@1', '1@2'])
    expect(bench.built.toSorted()).toEqual(['a@1', 'b@1', 'c@2'])
  })

  test('images of another platform are another batch', async () => {
    bench.queue.add([prebuildOf('a', 1), prebuildOf('arm64/a', 1), prebuildOf('b', 1)])
    await bench.idle()
    expect(bench.started).toEqual(['2@1', '1@1'])
    expect(bench.workbench.evaluator.requests).toMatchObject([
      { system: 'x86_64-linux', packages: ['a', 'b', 'cacert', 'iana-etc'] },
      { system: 'aarch64-linux', packages: ['a', 'cacert', 'iana-etc'] },
    ])
  })

  test('images of tags are built before images of branches', async () => {
    await occupy()
    bench.queue.add([prebuildOf('b', 2, main), prebuildOf('c', 2, main)])
    bench.queue.add([prebuildOf('a', 3, tag)])
    expect([bench.queue.waitingFor('tag'), bench.queue.waitingFor('branch')]).toEqual([1, 2])
    await releaseAll()
    expect(bench.started).toEqual(['1@1', '1@3', '2@2'])
  })

  test('an image that waits for a branch is urgent when a tag wants it', async () => {
    await occupy()
    bench.queue.add([prebuildOf('a', 2, main), prebuildOf('b', 3, main)])
    bench.queue.add([prebuildOf('b', 3, tag)])
    expect([bench.queue.waitingFor('tag'), bench.queue.waitingFor('branch')]).toEqual([1, 1])
    await releaseAll()
    expect(bench.started).toEqual(['1@1', '1@3', '1@2'])
  })

  test('an image that is added twice is built once', async () => {
    await occupy()
    bench.queue.add([prebuildOf('a', 2)])
    bench.queue.add([prebuildOf('a', 2), prebuildOf('first', 1)])
    await releaseAll()
    expect(bench.built).toEqual(['first@1', 'a@2'])
    expect(bench.started).toHaveLength(2)
  })
})

describe('the state of an image', () => {
  test('an image is queued, then building, then has no state', async () => {
    await occupy()
    bench.queue.add([prebuildOf('a', 2)])
    expect(bench.queue.stateOf(keyOf('first', 1))).toBe('building')
    expect(bench.queue.stateOf(keyOf('a', 2))).toBe('queued')
    world.end(0)
    await until(() => bench.queue.stateOf(keyOf('a', 2)) === 'building')
    expect(bench.queue.stateOf(keyOf('first', 1))).toBeUndefined()
  })

  test('an image that has failed is not building while others of its batch are', async () => {
    await bench.learnAnImage()
    world.isHolding = true
    bench.queue.add([prebuildOf('a', 1), prebuildOf('b', 1)])
    await until(() => world.held.length === 2)
    world.end(0, broken)
    await until(() => bench.queue.stateOf(keyOf('a', 1)) === undefined)
    expect(bench.queue.stateOf(keyOf('b', 1))).toBe('building')
  })
})

describe('images that are no longer wanted', () => {
  test('a waiting image that is dropped is not built', async () => {
    await occupy()
    bench.queue.add([prebuildOf('a', 2), prebuildOf('b', 3)])
    bench.queue.drop(({ revision }) => revision.id !== commitOf(2))
    await releaseAll()
    expect(bench.built).toEqual(['first@1', 'b@3'])
  })

  test('a running batch goes on while one of its images is wanted', async () => {
    world.isHolding = true
    bench.queue.add([prebuildOf('a', 1), prebuildOf('b', 1)])
    await until(() => world.held.length === 2)
    bench.queue.drop(({ imageKey }) => imageKey === keyOf('a', 1))
    await releaseAll()
    expect(bench.built.toSorted()).toEqual(['a@1', 'b@1'])
  })

  test('a running batch is cancelled when none of its images is wanted', async () => {
    world.isHolding = true
    bench.queue.add([prebuildOf('a', 1), prebuildOf('b', 1)])
    await until(() => world.held.length === 2)
    bench.queue.drop(() => false)
    await bench.idle()
    expect(bench.built).toEqual([])
    expect(
      bench.log.at('info').filter(({ message }) => message === 'prebuild cancelled'),
    ).toHaveLength(2)
    expect(bench.workbench.failures.get(keyOf('a', 1), 'prebuild')).toBeUndefined()
  })

  test('an image of a cancelled batch can be added again at once', async () => {
    world.isHolding = true
    bench.queue.add([prebuildOf('a', 1)])
    await until(() => world.held.length === 1)
    bench.queue.drop(() => false)
    bench.queue.add([prebuildOf('a', 1)])
    await releaseAll()
    expect(bench.built).toEqual(['a@1'])
  })
})

describe('images that a pull takes', () => {
  beforeEach(async () => {
    await occupy()
    bench.queue.add([prebuildOf('a', 2)])
  })

  /** Makes builders fail in pulls only. */
  function failPulls(failure: Failure): void {
    const { before } = bench.workbench.nix
    bench.workbench.nix.before = (operation, packages, cause) => {
      if (operation === 'realise' && cause === 'pull') throw failure
      return before(operation, packages, cause)
    }
  }

  test('an image that a pull has built is not prebuilt', async () => {
    await bench.pull('a', 2)
    await releaseAll()
    expect(bench.started).toEqual(['1@1'])
  })

  test.each([
    ['ran out of time', new Failure('build-timed-out', 'a took longer than 60 seconds')],
    ['could not reach the storage', unavailable],
  ])('an image whose pull %s is prebuilt after all', async (_, failure) => {
    failPulls(failure)
    await expect(bench.pull('a', 2)).rejects.toBe(failure)
    await releaseAll()
    expect(bench.built).toEqual(['first@1', 'a@2'])
  })

  test('an image whose pull failed to build is prebuilt only after a retry', async () => {
    failPulls(broken)
    await expect(bench.pull('a', 2)).rejects.toBe(broken)
    await releaseAll()
    expect(bench.started).toEqual(['1@1'])
    bench.workbench.failures.clear()
    bench.queue.retry()
    await bench.idle()
    expect(bench.built).toEqual(['first@1', 'a@2'])
  })
})

describe('images that fail', () => {
  test('an image that fails for a passing cause is retried after 5, 20, 60 and 600 seconds', async () => {
    world.failures.set('a', unavailable)
    bench.queue.add([prebuildOf('a', 1)])
    await bench.idle()
    for (const [retry, delay] of [5000, 20_000, 60_000, 600_000].entries()) {
      vi.advanceTimersByTime(delay - 1)
      expect(bench.started).toHaveLength(retry + 1)
      vi.advanceTimersByTime(1)
      await bench.idle()
      expect(bench.started).toHaveLength(retry + 2)
    }
  })

  test('an image that fails for a passing cause is built by a retry that succeeds', async () => {
    world.failures.set('a', unavailable)
    bench.queue.add([prebuildOf('a', 1)])
    await bench.idle()
    world.failures.clear()
    vi.advanceTimersByTime(5000)
    await bench.idle()
    expect(bench.built).toEqual(['a@1'])
    vi.advanceTimersByTime(1_000_000)
    expect(bench.started).toHaveLength(2)
  })

  test('an image that does not build is tried again by retry only', async () => {
    world.failures.set('a', broken)
    bench.queue.add([prebuildOf('a', 1)])
    await bench.idle()
    vi.advanceTimersByTime(1_000_000)
    expect(bench.started).toHaveLength(1)
    world.failures.clear()
    bench.workbench.failures.clear()
    bench.queue.retry()
    await bench.idle()
    expect(bench.built).toEqual(['a@1'])
  })
})

test('a queue that was stopped finishes the running batch and starts no other', async () => {
  await occupy()
  bench.queue.add([prebuildOf('a', 2)])
  bench.queue.stop()
  bench.queue.add([prebuildOf('b', 3)])
  world.release()
  await until(() => bench.batches.running === 0)
  expect(bench.built).toEqual(['first@1'])
  expect(bench.started).toEqual(['1@1'])
})
