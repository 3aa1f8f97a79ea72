import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { keyOf, PrebuildBench, prebuildOf, World } from '../support/prebuild-bench.ts'
import { SharedStore } from '../support/shared-store.ts'
import { until } from '../support/until.ts'

const broken = new Failure('build-failed', 'a does not build')

let world: World
let bench: PrebuildBench
let controller: AbortController
/** `name: failure` or `name: built` of each image that has ended, in order. */
let ended: string[]

beforeEach(async () => {
  world = new World()
  bench = await PrebuildBench.create(world)
  controller = new AbortController()
  ended = []
})
afterEach(() => bench[Symbol.asyncDispose]())

function build(...names: string[]): Promise<void> {
  return bench.batches.build({
    images: names.map((name) => prebuildOf(name, 1)),
    signal: controller.signal,
    onEnd: ({ name }, error) => {
      ended.push(`${name.text}: ${error instanceof Error ? error.message : 'built'}`)
    },
  })
}

const did = (word: string) => bench.workbench.did(word)
const isBuilt = (name: string) => ended.includes(`${name}: built`)
const failureOf = (name: string, cause: 'pull' | 'prebuild') =>
  bench.workbench.failures.get(keyOf(name, 1), cause)

describe('the Nix processes of a batch', () => {
  test('a batch is evaluated once and realised once', async () => {
    await build('a', 'b')
    expect(did('evaluate')).toEqual(['evaluate a b cacert iana-etc'])
    expect(did('realise each')).toEqual(['realise each of a, b'])
    expect(ended.toSorted()).toEqual(['a: built', 'b: built'])
  })

  test('a builder of a prebuild has as much time as prebuilds have', async () => {
    await build('a')
    expect(bench.workbench.nix.timeouts).toEqual([3600])
  })
})

describe('when images of a batch are packed', () => {
  beforeEach(() => {
    world.isHolding = true
  })

  test('an image is packed while builders of another image run', async () => {
    await bench.learnAnImage()
    const batch = build('a', 'b')
    await until(() => world.held.length === 2)
    world.end(0)
    await until(() => isBuilt('a'))
    expect(isBuilt('b')).toBe(false)
    world.release()
    await batch
    expect(isBuilt('b')).toBe(true)
  })

  test('images of the first release are packed after all of them are realised and learned', async () => {
    const batch = build('a', 'b')
    await until(() => world.held.length === 2)
    world.end(0)
    world.end(0)
    await batch
    const first = (key: string) => world.store.calls.findIndex((call) => call.startsWith(key))
    expect(first('stored knowledge/')).toBeGreaterThan(-1)
    expect(first('stored knowledge/')).toBeLessThan(first('put plans/'))
  })

  test('an image of the first release that fails does not stop the others from being learned', async () => {
    const batch = build('a', 'b')
    await until(() => world.held.length === 2)
    world.end(0, broken)
    world.release()
    await batch
    expect(ended.toSorted()).toEqual(['a: a does not build', 'b: built'])
    expect(await bench.workbench.planning.isNew()).toBe(false)
  })
})

describe('failures in a batch', () => {
  test('an image that cannot be evaluated does not stop the others', async () => {
    await build('a', 'missing', 'b')
    expect(ended.toSorted()).toEqual([
      'a: built',
      'b: built',
      expect.stringContaining('missing: the package set has no package "missing"'),
    ])
    expect(failureOf('missing', 'prebuild')?.kind).toBe('manifest-unknown')
  })

  test('an image that cannot be realised does not stop the others', async () => {
    world.failures.set('a', broken)
    await build('a', 'b')
    expect(ended.toSorted()).toEqual(['a: a does not build', 'b: built'])
    expect(failureOf('a', 'prebuild')).toBe(broken)
  })

  test('an image that cannot be packed does not stop the others', async () => {
    const full = new Failure('unavailable', 'the disk is full')
    bench.workbench.packer.before = (what) => {
      if (what.startsWith('a')) throw full
    }
    await build('a', 'b')
    expect(ended.toSorted()).toEqual(['a: the disk is full', 'b: built'])
    expect(failureOf('a', 'prebuild')).toBeUndefined()
  })

  test('a package set that cannot be evaluated fails all images of the batch', async () => {
    bench.workbench.evaluator.before = () => {
      throw new Failure('evaluation-failed', 'syntax error in default.nix')
    }
    await build('a', 'b')
    expect(ended).toEqual(['a: syntax error in default.nix', 'b: syntax error in default.nix'])
    expect(failureOf('b', 'prebuild')?.kind).toBe('evaluation-failed')
  })

  test('a pull of an image that a batch could not build gets the failure without a build', async () => {
    world.failures.set('a', broken)
    await build('a')
    const evaluations = did('evaluate').length
    await expect(bench.pull('a', 1)).rejects.toBe(broken)
    expect(did('evaluate')).toHaveLength(evaluations)
  })
})

describe('a batch that is cancelled', () => {
  const unwanted = new Error('not wanted')

  test('a batch that is cancelled during its evaluation realises nothing', async () => {
    bench.workbench.evaluator.before = () => controller.abort(unwanted)
    await build('a', 'b')
    expect(did('realise each')).toEqual([])
    expect(ended).toEqual(['a: not wanted', 'b: not wanted'])
  })

  test('a batch that is cancelled while builders run ends them, and no failure is remembered', async () => {
    world.isHolding = true
    const batch = build('a', 'b')
    await until(() => world.held.length === 2)
    controller.abort(unwanted)
    await batch
    expect(ended).toEqual(['a: not wanted', 'b: not wanted'])
    expect(failureOf('a', 'pull')).toBeUndefined()
  })
})

test('an image that another instance builds is waited for and not built here', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const shared = new SharedStore()
  await using other = await PrebuildBench.create(world, { shared })
  await bench[Symbol.asyncDispose]()
  bench = await PrebuildBench.create(world, { shared })
  try {
    world.isHolding = true
    other.queue.add([prebuildOf('a', 1)])
    await until(() => world.held.length === 1)
    const batch = build('a', 'b')
    await until(() => world.held.length === 2)
    world.end(1)
    await until(() => isBuilt('b'))
    world.end(0)
    await other.idle()
    await vi.advanceTimersByTimeAsync(2000)
    await batch
    expect(ended).toEqual(['b: built', 'a: built'])
    expect([other.built, bench.built]).toEqual([['a@1'], ['b@1']])
  } finally {
    await Promise.all([other, bench].map(({ workbench }) => workbench.leases.close()))
    vi.useRealTimers()
  }
})
