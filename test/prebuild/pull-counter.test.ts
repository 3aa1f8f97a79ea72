import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { PullCounter, pullRecord } from '../../service/prebuild/pull-counter.ts'
import { Records } from '../../service/storage/records.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { until } from '../support/until.ts'

const second = 1000
const minute = 60 * second
const week = 7 * 24 * 60 * minute

let store: ObservedStore
let log: RecordingLog

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'],
    now: Date.UTC(2026, 0, 1),
  })
  store = new ObservedStore(new MemoryStore())
  log = new RecordingLog()
})
afterEach(() => {
  vi.useRealTimers()
})

function counterOf(instance: string): PullCounter {
  return new PullCounter({ records: new Records(store, 'pulls', pullRecord, log), instance, log })
}

/** Starts an instance, with the counts that are stored. */
async function loaded(instance: string): Promise<PullCounter> {
  const counter = counterOf(instance)
  await counter.load()
  return counter
}

/** Counts a pull of each image, each by another client. */
let clients = 0
function pull(counter: PullCounter, ...names: string[]): void {
  for (const name of names) counter.count(parseImageName(name), `client ${clients++}`)
}

const top = (counter: PullCounter, limit = 10) => counter.mostPulled(limit).map(({ text }) => text)

const puts = () => store.calls.filter((call) => call.startsWith('put '))
/** Waits for the reads and writes that a timer has started: the store in memory needs a few turns. */
async function storageIdle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

function breakStorage(): void {
  store.before = () => {
    throw new Failure('unavailable', 'no answer')
  }
}

describe('counting pulls', () => {
  test('pulls of one image count together, whatever the spelling of its name', async () => {
    const counter = await loaded('one')
    pull(counter, 'jq', 'git/htop', 'htop/git', 'htop/git/htop')
    expect(top(counter)).toEqual(['git/htop', 'jq'])
    expect(top(counter, 1)).toEqual(['git/htop'])
  })

  test('pulls of one image by one client count once in ten minutes', async () => {
    const counter = await loaded('one')
    const git = parseImageName('git')
    pull(counter, 'jq', 'jq')
    for (let times = 0; times < 5; times++) counter.count(git, '192.0.2.1')
    vi.advanceTimersByTime(9 * minute)
    counter.count(git, '192.0.2.1')
    expect(top(counter)).toEqual(['jq', 'git'])
    vi.advanceTimersByTime(2 * minute)
    counter.count(git, '192.0.2.1')
    counter.count(git, '192.0.2.2')
    expect(top(counter)).toEqual(['git', 'jq'])
  })

  test('pulls of several images by one client count for each image', async () => {
    const counter = await loaded('one')
    for (const name of ['git', 'jq']) counter.count(parseImageName(name), '192.0.2.1')
    expect(top(counter)).toEqual(['git', 'jq'])
  })

  test('a pull counts less the longer ago it was', async () => {
    const counter = await loaded('one')
    pull(counter, 'old', 'old', 'old')
    vi.advanceTimersByTime(2 * week)
    pull(counter, 'new')
    expect(top(counter)).toEqual(['new', 'old'])
  })

  test('counting a pull does no I/O', async () => {
    const counter = await loaded('one')
    store.calls.length = 0
    pull(counter, 'git')
    await storageIdle()
    expect(store.calls).toEqual([])
  })
})

describe('storing counts', () => {
  test('counts are stored at most every 30 seconds, and only if they have changed', async () => {
    const counter = await loaded('one')
    for (let elapsed = 0; elapsed < 60; elapsed++) {
      pull(counter, 'git')
      await vi.advanceTimersByTimeAsync(second)
      await storageIdle()
    }
    expect(puts()).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(10 * minute)
    await storageIdle()
    expect(puts()).toEqual(['put pulls/one', 'put pulls/one'])
  })

  test('a flush stores changed counts at once', async () => {
    const counter = await loaded('one')
    pull(counter, 'git')
    await counter.flush()
    expect(puts()).toEqual(['put pulls/one'])
    await counter.flush()
    expect(puts()).toHaveLength(1)
  })

  test('a flush during another flush stores the pulls between them, too', async () => {
    const counter = await loaded('one')
    const gate = Promise.withResolvers<void>()
    store.before = (operation) => (operation === 'put' ? gate.promise : undefined)
    pull(counter, 'git')
    const earlier = counter.flush()
    await until(() => puts().length > 0)
    pull(counter, 'jq')
    const later = counter.flush()
    gate.resolve()
    await Promise.all([earlier, later])
    expect(top(await loaded('one'))).toEqual(['git', 'jq'])
  })

  test('after a restart, the counts of all instances are added up', async () => {
    const [one, two] = [await loaded('one'), await loaded('two')]
    pull(one, 'git', 'jq')
    pull(two, 'jq', 'htop', 'htop', 'htop')
    await Promise.all([one.flush(), two.flush()])
    expect(top(await loaded('one'))).toEqual(['htop', 'jq', 'git'])
    expect(top(await loaded('three'))).toEqual(['htop', 'jq', 'git'])
  })

  test('an instance does not store the counts of other instances', async () => {
    const two = await loaded('two')
    pull(two, 'htop', 'htop')
    await two.flush()
    for (let restart = 0; restart < 3; restart++) {
      const one = await loaded('one')
      pull(one, 'git')
      await one.flush()
    }
    expect(top(await loaded('one'))).toEqual(['git', 'htop'])
    expect(await storedBy('one')).toEqual(['git'])
  })

  test('stored counts contain no client addresses', async () => {
    const counter = await loaded('one')
    counter.count(parseImageName('git'), '192.0.2.77')
    await counter.flush()
    expect(JSON.stringify(await record('one'))).not.toContain('192.0.2')
  })

  test('damaged records and invalid image names in records are ignored', async () => {
    await store.put('pulls/two', Buffer.from('{"week": 29'))
    const weights = { 'Not A Name': 9, jq: 5 }
    await store.put('pulls/three', Buffer.from(JSON.stringify({ week: 2922, weights })))
    const counter = await loaded('one')
    pull(counter, 'git')
    expect(top(counter)).toEqual(['jq', 'git'])
  })
})

describe('a storage that is out of reach', () => {
  test('an outage of the storage and its end are logged once each, and no count is lost', async () => {
    const counter = await loaded('one')
    breakStorage()
    for (let elapsed = 0; elapsed < 5; elapsed++) {
      pull(counter, 'git')
      await vi.advanceTimersByTimeAsync(minute)
      await storageIdle()
    }
    expect(log.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'warn: pull counts cannot be stored; trying again',
    ])
    store.before = () => {}
    await vi.advanceTimersByTimeAsync(minute)
    await until(() => log.at('info').length > 0)
    expect(log.at('info').map(({ message }) => message)).toEqual([
      'pull counts can be stored again',
    ])
    expect(await storedBy('one')).toEqual(['git'])
  })

  test('an outage of the storage at start-up loses no earlier counts', async () => {
    const before = await loaded('one')
    pull(before, 'git', 'git', 'git')
    await before.flush()
    breakStorage()
    const counter = await loaded('one')
    pull(counter, 'jq')
    expect(top(counter)).toEqual(['jq'])
    await counter.flush()
    store.before = () => {}
    await vi.advanceTimersByTimeAsync(minute)
    await until(() => puts().length > 1)
    expect(top(counter)).toEqual(['git', 'jq'])
    expect(await storedBy('one')).toEqual(['git', 'jq'])
  })
})

test('counting a pull takes microseconds', async () => {
  vi.useRealTimers()
  const counter = counterOf('one')
  const names = Array.from({ length: 1000 }, (_, index) => parseImageName(`git/name${index}`))
  const start = performance.now()
  for (let client = 0; client < 10; client++) {
    for (const name of names) counter.count(name, `192.0.2.${client}`)
  }
  // A hundred times the usual time, in milliseconds: finds I/O and full scans, not slow machines.
  expect((performance.now() - start) / 10_000).toBeLessThan(0.2)
  await counter.flush()
})

async function record(instance: string): Promise<{ weights: Record<string, number> } | undefined> {
  return new Records(store, 'pulls', pullRecord, log).get(instance)
}

/** Returns the names in the record of one instance, the most pulled first. */
async function storedBy(instance: string): Promise<string[]> {
  const { weights = {} } = (await record(instance)) ?? {}
  return Object.keys(weights).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0))
}
