import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Leases } from '../../service/queue/leases.ts'
import type { VersionedObjects } from '../../service/storage/ports.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

const interval = 5000
/** Milliseconds without a renewal after which an owner counts as dead. */
const silence = 4 * interval

let store: SharedStore
let instances: Leases[]

/** Names of the instances that were killed. */
const killed = new Set<string>()

/** Starts an instance on the shared storage. */
function instance(name: string): Leases {
  const objects: VersionedObjects = {
    ...store.versioned,
    async write(...args) {
      if (killed.has(name)) throw new Error('the instance is dead')
      return store.versioned.write(...args)
    },
  }
  const leases = new Leases({ store, objects, instance: name, log: new RecordingLog(), interval })
  instances.push(leases)
  return leases
}

/** Stops the renewals of an instance without releasing its leases, as kill -9 does. */
function kill(name: string): void {
  killed.add(name)
}

/** Takes a lease, and fails the test if another instance has it. */
async function taken(leases: Leases, key = 'a') {
  const lease = await leases.take(key)
  if (lease === undefined) throw new Error('another instance has the lease')
  return lease
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  store = new SharedStore()
  instances = []
  killed.clear()
})
afterEach(async () => {
  await Promise.all(instances.map((leases) => leases.close()))
  vi.useRealTimers()
})

describe('take', () => {
  test('one instance at a time has a lease', async () => {
    const [one, two] = [instance('one'), instance('two')]
    const lease = await taken(one)
    expect(await two.take('a')).toBeUndefined()
    await lease.release()
    expect(await two.take('a')).toBeDefined()
  })

  test('leases on different keys are independent', async () => {
    const [one, two] = [instance('one'), instance('two')]
    await taken(one, 'a')
    expect(await two.take('b')).toBeDefined()
  })

  test('an instance gives a lease back when the last of its users releases it', async () => {
    const [one, two] = [instance('one'), instance('two')]
    const leases = await Promise.all([taken(one), taken(one), taken(one)])
    await leases[0].release()
    await leases[0].release()
    await leases[1].release()
    expect(await two.take('a')).toBeUndefined()
    await leases[2].release()
    expect(await two.take('a')).toBeDefined()
  })

  test('one of ten concurrent instances gets the lease', async () => {
    const all = Array.from({ length: 10 }, (_, index) => instance(`number ${index}`))
    const leases = await Promise.all(all.map((leases) => leases.take('a')))
    expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('a released lease leaves nothing in the storage', async () => {
    const lease = await taken(instance('one'))
    expect([...store.objects.keys()]).toEqual(['leases/a'])
    await lease.release()
    expect(store.objects.size).toBe(0)
  })

  test('a living owner keeps its lease for any time', async () => {
    const [one, two] = [instance('one'), instance('two')]
    await taken(one)
    for (let passed = 0; passed < 20 * silence; passed += interval) {
      expect(await two.take('a')).toBeUndefined()
      await vi.advanceTimersByTimeAsync(interval)
    }
  })

  test('a lease is taken over when its owner is dead, and not before', async () => {
    const [one, two] = [instance('one'), instance('two')]
    await taken(one)
    kill('one')
    expect(await two.take('a')).toBeUndefined()
    await vi.advanceTimersByTimeAsync(silence - 1000)
    expect(await two.take('a')).toBeUndefined()
    await vi.advanceTimersByTimeAsync(2000)
    expect(await two.take('a')).toBeDefined()
  })

  test('one of several waiting instances takes over the lease of a dead owner', async () => {
    const [one, two, three] = [instance('one'), instance('two'), instance('three')]
    await taken(one)
    kill('one')
    await Promise.all([two.take('a'), three.take('a')])
    await vi.advanceTimersByTimeAsync(silence + 1000)
    const leases = await Promise.all([two.take('a'), three.take('a')])
    expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('a lease that was taken over is not deleted by its first owner', async () => {
    const [one, two] = [instance('one'), instance('two')]
    const lease = await taken(one)
    store.objects.delete('leases/a')
    const version = await store.versioned.version('leases/a')
    await store.versioned.write('leases/a', Buffer.from('{"instance":"two"}'), version)
    await vi.advanceTimersByTimeAsync(interval)
    await lease.release()
    expect(await two.take('a')).toBeUndefined()
    expect(store.objects.has('leases/a')).toBe(true)
  })

  test('a lease is taken although the response to its write was lost', async () => {
    store.losesResponses = true
    const lease = await taken(instance('one'))
    await vi.advanceTimersByTimeAsync(3 * interval)
    await lease.release()
    expect(store.objects.size).toBe(0)
  })

  test('a lease whose content cannot be read completely is unavailable', async () => {
    await taken(instance('one'))
    store.get = async () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('{')
          throw new Error('connection reset')
        })(),
      )
    await expect(instance('two').take('a')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('connection reset'),
    })
  })

  test('close gives all leases back', async () => {
    const [one, two] = [instance('one'), instance('two')]
    await taken(one)
    await one.close()
    expect(await two.take('a')).toBeDefined()
  })
})

describe('findOrMake', () => {
  /** Work that takes a minute and is counted. */
  function countedWork() {
    const made = { times: 0, image: undefined as string | undefined }
    return {
      made,
      find: async () => made.image,
      make: async () => {
        made.times += 1
        await new Promise((resolve) => setTimeout(resolve, 60_000))
        made.image = 'the image'
        return made.image
      },
    }
  }

  test('one of several instances does the work', async () => {
    const { made, find, make } = countedWork()
    const all = ['one', 'two', 'three'].map(instance)
    const results = Promise.all(all.map((leases) => leases.findOrMake('a', find, make)))
    await vi.advanceTimersByTimeAsync(70_000)
    expect(await results).toEqual(['the image', 'the image', 'the image'])
    expect(made.times).toBe(1)
  })

  test('the next instance does the work when the first one fails', async () => {
    const { made, find, make } = countedWork()
    const [one, two] = [instance('one'), instance('two')]
    const failing = one.findOrMake('a', find, async () => {
      throw new Error('does not build')
    })
    const failed = expect(failing).rejects.toThrow('does not build')
    const result = two.findOrMake('a', find, make)
    await vi.advanceTimersByTimeAsync(70_000)
    await failed
    expect(await result).toBe('the image')
    expect(made.times).toBe(1)
  })

  test('another instance does the work when the first one is dead', async () => {
    const { find, make } = countedWork()
    const [one, two] = [instance('one'), instance('two')]
    void one.findOrMake('a', find, () => new Promise(() => {}))
    await vi.advanceTimersByTimeAsync(100)
    kill('one')
    const result = two.findOrMake('a', find, make)
    await vi.advanceTimersByTimeAsync(silence + 70_000)
    expect(await result).toBe('the image')
  })

  test('work that was just done is not repeated', async () => {
    const { made, make } = countedWork()
    expect(await instance('one').findOrMake('a', async () => 'made before', make)).toBe(
      'made before',
    )
    expect(made.times).toBe(0)
  })

  test('a waiting instance sends few requests', async () => {
    const [one, two] = [instance('one'), instance('two')]
    await taken(one)
    store.requests.length = 0
    void two.findOrMake(
      'a',
      async () => undefined,
      async () => 'made',
    )
    await vi.advanceTimersByTimeAsync(60_000)
    const versions = store.requests.filter((request) => request.startsWith('version'))
    expect(versions.length).toBeGreaterThan(1)
    expect(versions.length).toBeLessThan(40)
  })
})

test('findOrMake does the work at once if the storage is not shared', async () => {
  const alone = new Leases({ store: new MemoryStore(), instance: 'one', log: new RecordingLog() })
  const find = vi.fn()
  expect(await alone.findOrMake('a', find, async () => 'made')).toBe('made')
  expect(find).not.toHaveBeenCalled()
  expect(alone.areShared).toBe(false)
})
