import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Leases } from '../../service/queue/leases.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

const interval = 5000
/** Milliseconds of silence after which an owner counts as gone. */
const silence = 4 * interval

let store: SharedStore
let instances: Leases[]

/** Another instance on the same storage. */
function instance(name: string): Leases {
  const leases = new Leases({
    store,
    objects: store.versioned,
    instance: name,
    log: new RecordingLog(),
    interval,
  })
  instances.push(leases)
  return leases
}

/** Fails the test unless there is a lease. */
async function taken(leases: Leases, key = 'a') {
  const lease = await leases.take(key)
  if (lease === undefined) throw new Error('another instance has it')
  return lease
}

/** Has an instance stop without a word, as kill -9 does. */
function kill(leases: Leases): void {
  Object.assign(store.versioned, {
    write: new Proxy(store.versioned.write, {
      apply(write, self, args: Parameters<typeof store.versioned.write>) {
        const owner = JSON.parse(Buffer.from(args[1]).toString()).instance
        if (killed.has(owner)) throw new Error('the instance is gone')
        return Reflect.apply(write, self, args)
      },
    }),
  })
  killed.add(names.get(leases) ?? '')
}
const killed = new Set<string>()
const names = new Map<Leases, string>()
const named = (name: string) => {
  const leases = instance(name)
  names.set(leases, name)
  return leases
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

describe('a lease', () => {
  test('is had by one instance at a time', async () => {
    const [one, two] = [named('one'), named('two')]
    const lease = await taken(one)
    expect(await two.take('a')).toBeUndefined()
    await lease.release()
    expect(await two.take('a')).toBeDefined()
  })

  test('is of one key', async () => {
    const [one, two] = [named('one'), named('two')]
    await taken(one, 'a')
    expect(await two.take('b')).toBeDefined()
  })

  test('is shared within an instance, and given back by the last who has it', async () => {
    const [one, two] = [named('one'), named('two')]
    const leases = await Promise.all([taken(one), taken(one), taken(one)])
    await leases[0].release()
    await leases[0].release()
    await leases[1].release()
    expect(await two.take('a')).toBeUndefined()
    await leases[2].release()
    expect(await two.take('a')).toBeDefined()
  })

  test('of ten who ask at once is had by one', async () => {
    const all = Array.from({ length: 10 }, (_, index) => named(`number ${index}`))
    const leases = await Promise.all(all.map((leases) => leases.take('a')))
    expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('leaves nothing in the storage when it is given back', async () => {
    const lease = await taken(named('one'))
    expect([...store.objects.keys()]).toEqual(['leases/a'])
    await lease.release()
    expect(store.objects.size).toBe(0)
  })

  test('is kept as long as its owner lives, however long that is', async () => {
    const [one, two] = [named('one'), named('two')]
    await taken(one)
    for (let passed = 0; passed < 20 * silence; passed += interval) {
      expect(await two.take('a')).toBeUndefined()
      await vi.advanceTimersByTimeAsync(interval)
    }
  })

  test('is taken over when its owner is gone, and not before', async () => {
    const [one, two] = [named('one'), named('two')]
    await taken(one)
    kill(one)
    expect(await two.take('a')).toBeUndefined()
    await vi.advanceTimersByTimeAsync(silence - 1000)
    expect(await two.take('a')).toBeUndefined()
    await vi.advanceTimersByTimeAsync(2000)
    expect(await two.take('a')).toBeDefined()
  })

  test('of an owner that is gone is taken over by one of those who wait', async () => {
    const [one, two, three] = [named('one'), named('two'), named('three')]
    await taken(one)
    kill(one)
    await Promise.all([two.take('a'), three.take('a')])
    await vi.advanceTimersByTimeAsync(silence + 1000)
    const leases = await Promise.all([two.take('a'), three.take('a')])
    expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('that was taken over is not given back by its first owner', async () => {
    const [one, two] = [named('one'), named('two')]
    const lease = await taken(one)
    store.objects.delete('leases/a')
    const version = await store.versioned.version('leases/a')
    await store.versioned.write('leases/a', Buffer.from('{"instance":"two"}'), version)
    await vi.advanceTimersByTimeAsync(interval)
    await lease.release()
    expect(await two.take('a')).toBeUndefined()
    expect(store.objects.has('leases/a')).toBe(true)
  })

  test('is had although the answer that said so was lost', async () => {
    store.losesAnswers = true
    const lease = await taken(named('one'))
    await vi.advanceTimersByTimeAsync(3 * interval)
    await lease.release()
    expect(store.objects.size).toBe(0)
  })

  test('is given back when the instance ends', async () => {
    const [one, two] = [named('one'), named('two')]
    await taken(one)
    await one.close()
    expect(await two.take('a')).toBeDefined()
  })
})

describe('what several instances need', () => {
  /** Makes it after a while; counts how often. */
  function workshop() {
    const made = { times: 0, there: undefined as string | undefined }
    return {
      made,
      find: async () => made.there,
      make: async () => {
        made.times += 1
        await new Promise((resolve) => setTimeout(resolve, 60_000))
        made.there = 'the image'
        return made.there
      },
    }
  }

  test('is made by one of them', async () => {
    const { made, find, make } = workshop()
    const all = ['one', 'two', 'three'].map(named)
    const results = Promise.all(all.map((leases) => leases.findOrMake('a', find, make)))
    await vi.advanceTimersByTimeAsync(70_000)
    expect(await results).toEqual(['the image', 'the image', 'the image'])
    expect(made.times).toBe(1)
  })

  test('is made by the next one when the first one fails', async () => {
    const { made, find, make } = workshop()
    const [one, two] = [named('one'), named('two')]
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

  test('is made by another one when the first one is gone', async () => {
    const { find, make } = workshop()
    const [one, two] = [named('one'), named('two')]
    void one.findOrMake('a', find, () => new Promise(() => {}))
    await vi.advanceTimersByTimeAsync(100)
    kill(one)
    const result = two.findOrMake('a', find, make)
    await vi.advanceTimersByTimeAsync(silence + 70_000)
    expect(await result).toBe('the image')
  })

  test('is not made when somebody made it just before', async () => {
    const { made, make } = workshop()
    expect(await named('one').findOrMake('a', async () => 'made before', make)).toBe('made before')
    expect(made.times).toBe(0)
  })

  test('is waited for with few requests', async () => {
    const [one, two] = [named('one'), named('two')]
    await taken(one)
    store.requests.length = 0
    void two.findOrMake(
      'a',
      async () => undefined,
      async () => 'made',
    )
    await vi.advanceTimersByTimeAsync(60_000)
    const asked = store.requests.filter((request) => request.startsWith('version'))
    expect(asked.length).toBeLessThan(40)
  })
})

test('a storage of one instance needs no leases', async () => {
  const alone = new Leases({ store: new MemoryStore(), instance: 'one', log: new RecordingLog() })
  const find = vi.fn()
  expect(await alone.findOrMake('a', find, async () => 'made')).toBe('made')
  expect(find).not.toHaveBeenCalled()
  expect(alone.areShared).toBe(false)
})
