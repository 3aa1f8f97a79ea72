import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Closure } from '../../service/closure/closure.ts'
import { PlanClosure } from '../../service/layering/plan-closure.ts'
import { noPopularity } from '../../service/layering/popularity.ts'
import { knowledgeRecord, planRecord } from '../../service/layering/records.ts'
import { Records } from '../../service/storage/records.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

const megabyte = 1024 * 1024
const recipe = { compression: 'gzip', layerBudget: 94 } as const

/** Returns a chain: each path refers to the next. */
const closure = (...chain: string[]): Closure =>
  chain.map((name, index) => ({
    path: `/nix/store/${name.padEnd(32, '0').slice(0, 32)}-${name}`,
    narSize: 5 * megabyte,
    references: chain
      .slice(index + 1, index + 2)
      .map((next) => `/nix/store/${next.padEnd(32, '0').slice(0, 32)}-${next}`),
  }))

const api = closure('api-1', 'python-3', 'glibc-2')
const web = closure('web-1', 'nginx-1', 'glibc-2')

let store: SharedStore
let log: RecordingLog

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  store = new SharedStore()
  log = new RecordingLog()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Returns another instance on the same storage, or the same one after a restart. */
function planning(): PlanClosure {
  return new PlanClosure({
    plans: new Records(store, 'plans', planRecord, log),
    knowledge: new Records(store, 'knowledge', knowledgeRecord, log),
    popularity: { current: () => noPopularity },
    recipe,
    log,
  })
}

/** Returns the versions of the knowledge that the stored plans were made with. */
function versions(): string[] {
  return [...store.objects]
    .filter(([key]) => key.startsWith('plans/'))
    .map(([, bytes]) => JSON.parse(bytes.toString()).knowledge)
}

test('the plan of a closure has every path in one layer', async () => {
  const layers = await planning().plan(api)
  expect(layers.flat().sort()).toEqual(api.map(({ path }) => path).sort())
})

test('the recorded plan of a closure is used again, whatever is learned later', async () => {
  const one = planning()
  const layers = await one.plan(api)
  await one.learn([
    { name: 'web', closure: web },
    { name: 'api', closure: closure('api-1', 'python-3') },
  ])
  expect(await one.plan(api)).toEqual(layers)
  expect(await planning().plan(api)).toEqual(layers)
  expect(versions()).toEqual(['none'])
})

test('a plan record names the version of the knowledge', async () => {
  const one = planning()
  await one.learn([{ name: 'web', closure: web }])
  await one.plan(api)
  expect(versions()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
})

describe('built images', () => {
  test('built images are learned together after a pause without a new image', async () => {
    const one = planning()
    one.note({ name: 'api', closure: api, plan: await one.plan(api) })
    await vi.advanceTimersByTimeAsync(2000)
    one.note({ name: 'web', closure: web, plan: await one.plan(web) })
    await vi.advanceTimersByTimeAsync(2000)
    expect(store.objects.has('knowledge/current')).toBe(false)
    expect(await one.isNew()).toBe(true)
    await vi.advanceTimersByTimeAsync(2000)
    const { images } = JSON.parse(String(store.objects.get('knowledge/current')))
    expect(images.map(({ name }: { name: string }) => name)).toEqual(['api', 'web'])
    expect(await one.isNew()).toBe(false)
  })

  test('100 built images are learned without a pause', async () => {
    const one = planning()
    for (let number = 1; number <= 100; number++)
      one.note({ name: `image-${number}`, closure: api })
    // Learning is serial, so this waits for the images above.
    await one.learn([])
    const { images } = JSON.parse(String(store.objects.get('knowledge/current')))
    expect(images).toHaveLength(100)
  })

  test('flush learns the built images at once', async () => {
    const one = planning()
    one.note({ name: 'api', closure: api })
    await one.flush()
    expect(store.objects.has('knowledge/current')).toBe(true)
  })

  test('a learned image is known to another instance, which keeps it when it learns', async () => {
    await planning().learn([{ name: 'api', closure: api }])
    const other = planning()
    expect(await other.isNew()).toBe(false)
    await other.learn([{ name: 'web', closure: web }])
    const { images } = JSON.parse(String(store.objects.get('knowledge/current')))
    expect(images).toHaveLength(2)
  })
})

describe('without readable or writable knowledge', () => {
  test.each([
    ['damaged', 'no JSON'],
    ['of another version', '{"paths":"all of them"}'],
  ])('a knowledge document that is %s is replaced, and plans are made', async (_, content) => {
    store.objects.set('knowledge/current', Buffer.from(content))
    const one = planning()
    expect(await one.plan(api)).not.toEqual([])
    await one.learn([{ name: 'api', closure: api }])
    expect(await planning().isNew()).toBe(false)
  })

  test('plans are made and a warning is logged if the knowledge cannot be written', async () => {
    const one = planning()
    const { put } = store
    store.put = async (key, ...rest) => {
      if (key.startsWith('knowledge/')) throw new Error('the disk is full')
      return put.call(store, key, ...rest)
    }
    await one.learn([{ name: 'api', closure: api }])
    expect(await one.plan(web)).not.toEqual([])
    expect(log.at('warn').map(({ message }) => message)).toEqual([
      'planner knowledge could not be updated',
    ])
  })
})
