import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { FetchSchedule, type FetchScheduleOptions } from '../../service/source/fetch-schedule.ts'

const interval = 2000
const stopped = { kind: 'unavailable', message: 'the service is shutting down' }
const down = new Failure('unavailable', 'no route')

/** Fetches that end when the test says so. */
class Fetches {
  readonly #all: PromiseWithResolvers<void>[] = []
  running = 0
  mostRunning = 0

  get count(): number {
    return this.#all.length
  }

  /** The newest fetch. */
  get last(): PromiseWithResolvers<void> {
    const last = this.#all.at(-1)
    if (last === undefined) throw new Error('no fetch has started')
    return last
  }

  readonly fetch = async (): Promise<void> => {
    const end = Promise.withResolvers<void>()
    this.#all.push(end)
    this.running += 1
    this.mostRunning = Math.max(this.mostRunning, this.running)
    await end.promise.finally(() => {
      this.running -= 1
    })
  }

  /** Ends the newest fetch, and lets all that waits for it go on. */
  async end(failure?: Failure): Promise<void> {
    if (failure) this.last.reject(failure)
    else this.last.resolve()
    await vi.advanceTimersByTimeAsync(0)
  }
}

let fetches: Fetches
let schedule: FetchSchedule
/** Names of the waiting calls that have ended, in order. */
let ended: string[]

function scheduleOf(options: Partial<FetchScheduleOptions> = {}): FetchSchedule {
  schedule = new FetchSchedule({ fetch: fetches.fetch, pollInterval: 0, ...options })
  return schedule
}

/** Records when a call ends, and how. */
function watch(name: string, call: Promise<void>): Promise<void> {
  return call.then(
    () => void ended.push(name),
    (error) => void ended.push(`${name}: ${error.message}`),
  )
}

const requestUnknown = (name: string, isKnown = () => false) =>
  watch(name, schedule.fetchUnknownTag(isKnown))

beforeEach(() => {
  vi.useFakeTimers()
  fetches = new Fetches()
  ended = []
})
afterEach(() => {
  schedule.stop()
  vi.useRealTimers()
})

describe('start', () => {
  test('start waits for the first fetch and fails with it', async () => {
    const start = scheduleOf().start('awaited')
    fetches.last.reject(down)
    await expect(start).rejects.toBe(down)
  })

  test('start with a background fetch returns at once and fetches 200 ms later', async () => {
    await scheduleOf().start('background')
    await vi.advanceTimersByTimeAsync(199)
    expect(fetches.count).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect(fetches.count).toBe(1)
  })

  test('start after stop starts no fetch and no timer', async () => {
    scheduleOf({ pollInterval: 1 }).stop()
    await schedule.start('awaited')
    await schedule.start('background')
    expect([fetches.count, vi.getTimerCount()]).toEqual([0, 0])
  })
})

describe('the timer', () => {
  test('the timer fetches at each interval, but not while a fetch runs', async () => {
    const start = scheduleOf({ pollInterval: 60 }).start('awaited')
    await fetches.end()
    await start
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetches.count).toBe(2)
    await vi.advanceTimersByTimeAsync(180_000)
    expect(fetches.count).toBe(2)
    await fetches.end()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetches.count).toBe(3)
  })

  test('the timer goes on after a failed fetch', async () => {
    await scheduleOf({ pollInterval: 60 }).start('background')
    await vi.advanceTimersByTimeAsync(200)
    await fetches.end(down)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(fetches.count).toBe(2)
  })

  test('a poll interval of 0 turns the timer off', async () => {
    const start = scheduleOf({ pollInterval: 0 }).start('awaited')
    await fetches.end()
    await start
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('refresh', () => {
  test('however many callers refresh, one fetch runs and one is queued', async () => {
    watch('first', scheduleOf().refresh())
    for (let i = 0; i < 20; i++) watch('queued', schedule.refresh())
    expect(fetches.count).toBe(1)
    await fetches.end()
    expect([fetches.count, ...ended]).toEqual([2, 'first'])
    await fetches.end()
    expect(ended).toHaveLength(21)
    expect([fetches.count, fetches.mostRunning]).toEqual([2, 1])
  })

  test('a queued fetch starts after a failed one', async () => {
    watch('first', scheduleOf().refresh())
    watch('queued', schedule.refresh())
    await fetches.end(down)
    await fetches.end()
    expect(ended).toEqual(['first: no route', 'queued'])
  })
})

describe('a request for an unknown tag', () => {
  test('simultaneous requests for unknown tags share one fetch', async () => {
    scheduleOf()
    for (let i = 0; i < 50; i++) requestUnknown('pull')
    await vi.advanceTimersByTimeAsync(19)
    requestUnknown('pull')
    expect(fetches.count).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    await fetches.end()
    expect(ended).toHaveLength(51)
    expect(fetches.count).toBe(1)
  })

  test('fetches for unknown tags start at least 2 s apart', async () => {
    scheduleOf()
    requestUnknown('v1')
    await vi.advanceTimersByTimeAsync(20)
    await fetches.end()
    requestUnknown('v2')
    await vi.advanceTimersByTimeAsync(1000)
    requestUnknown('v3')
    await vi.advanceTimersByTimeAsync(interval - 1001)
    expect([fetches.count, ...ended]).toEqual([1, 'v1'])
    await vi.advanceTimersByTimeAsync(1)
    expect(fetches.count).toBe(2)
    await fetches.end()
    expect(ended).toEqual(['v1', 'v2', 'v3'])
  })

  test('an unknown tag waits for a fetch that starts after the request', async () => {
    watch('running', scheduleOf().refresh())
    requestUnknown('pull')
    await fetches.end()
    expect(ended).toEqual(['running'])
    await vi.advanceTimersByTimeAsync(20)
    await fetches.end()
    expect(ended).toEqual(['running', 'pull'])
  })

  test('a tag that the running fetch brings needs no further fetch', async () => {
    watch('running', scheduleOf().refresh())
    let isKnown = false
    requestUnknown('pull', () => isKnown)
    isKnown = true
    await fetches.end()
    expect(ended).toEqual(['running', 'pull'])
  })

  test('a fetch that starts for another reason also serves requests for unknown tags', async () => {
    scheduleOf()
    requestUnknown('v1')
    await vi.advanceTimersByTimeAsync(20)
    await fetches.end()
    requestUnknown('v2')
    watch('webhook', schedule.refresh())
    await fetches.end()
    expect(ended).toEqual(['v1', 'webhook', 'v2'])
  })

  test('a failed fetch fails the requests that wait for it', async () => {
    scheduleOf()
    requestUnknown('pull')
    await vi.advanceTimersByTimeAsync(20)
    await fetches.end(down)
    expect(ended).toEqual(['pull: no route'])
  })
})

describe('stop', () => {
  test('after stop no fetch starts', async () => {
    await scheduleOf({ pollInterval: 1 }).start('background')
    schedule.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    await expect(schedule.refresh()).rejects.toMatchObject(stopped)
    await expect(schedule.fetchUnknownTag(() => false)).rejects.toMatchObject(stopped)
    expect(fetches.count).toBe(0)
  })

  test('stop fails requests for unknown tags and queued fetches, and not the running fetch', async () => {
    scheduleOf()
    watch('running', schedule.refresh())
    watch('queued', schedule.refresh())
    requestUnknown('pull')
    schedule.stop()
    await fetches.end()
    expect(ended.sort()).toEqual([
      'pull: the service is shutting down',
      'queued: the service is shutting down',
      'running',
    ])
    expect(fetches.count).toBe(1)
  })
})
