/** Counts the requests that a cache in front of a remote back end saves. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { CachedRecords } from '../../service/storage/cached-records.ts'
import { Records } from '../../service/storage/records.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

interface Note {
  readonly name: string
}

const minute = 60_000

let store: SharedStore
/** Records without a cache, as another instance sees them. */
let plain: Records<Note>
let records: CachedRecords<Note>

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  // The LRU cache reads a start time of zero as "never expires".
  vi.advanceTimersByTime(1)
  store = new SharedStore()
  plain = new Records(store, 'images', z.object({ name: z.string() }), new RecordingLog())
  records = new CachedRecords(plain, 100_000)
})
afterEach(() => {
  vi.useRealTimers()
})

test('a record is read once', async () => {
  await plain.replace('a', { name: 'one' })
  store.requests.length = 0
  expect(await records.get('a')).toEqual({ name: 'one' })
  expect(await records.get('a')).toEqual({ name: 'one' })
  expect(await records.has('a')).toBe(true)
  expect(store.requests).toEqual(['get images/a'])
})

test.each(['settle', 'replace'] as const)('a record is known after %s', async (method) => {
  await records[method]('a', { name: 'one' })
  store.requests.length = 0
  expect(await records.get('a')).toEqual({ name: 'one' })
  expect(store.requests).toEqual([])
})

test('a deleted record is absent without a request', async () => {
  await records.replace('a', { name: 'one' })
  await records.delete('a')
  store.requests.length = 0
  expect(await records.get('a')).toBeUndefined()
  expect(store.requests).toEqual([])
  expect(await plain.get('a')).toBeUndefined()
})

test('the record of another instance that settled first is used', async () => {
  expect(await records.get('a')).toBeUndefined()
  await plain.replace('a', { name: 'theirs' })
  expect(await records.settle('a', { name: 'ours' })).toEqual({ name: 'theirs' })
  expect(await records.get('a')).toEqual({ name: 'theirs' })
})

test('an absent record is looked up again after some seconds, and not before', async () => {
  expect(await records.get('a')).toBeUndefined()
  expect(await records.has('a')).toBe(false)
  await plain.replace('a', { name: 'one' })
  store.requests.length = 0
  expect(await records.get('a')).toBeUndefined()
  expect(store.requests).toEqual([])
  await vi.advanceTimersByTimeAsync(5000)
  expect(await records.get('a')).toEqual({ name: 'one' })
})

test('a fresh read finds a record that was absent a moment ago', async () => {
  expect(await records.get('a')).toBeUndefined()
  await plain.replace('a', { name: 'one' })
  expect(await records.fresh('a')).toEqual({ name: 'one' })
  expect(await records.get('a')).toEqual({ name: 'one' })
})

test('a record that another instance replaced is read again after an hour', async () => {
  await records.replace('a', { name: 'one' })
  await plain.replace('a', { name: 'two' })
  expect(await records.get('a')).toEqual({ name: 'one' })
  await vi.advanceTimersByTimeAsync(61 * minute)
  expect(await records.get('a')).toEqual({ name: 'two' })
})

test('a full cache forgets the record that was used least recently', async () => {
  const small = new CachedRecords(plain, 1000)
  for (let index = 0; index < 20; index++) await small.replace(`key${index}`, { name: 'one' })
  store.requests.length = 0
  await small.get('key0')
  await small.get('key19')
  expect(store.requests).toEqual(['get images/key0'])
})
