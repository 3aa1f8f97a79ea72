/** What is remembered of a storage where each look is a request over a network. */
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { hexOf, sha256Digest } from '../../service/image/descriptor.ts'
import { Blobs } from '../../service/storage/blobs.ts'
import { Records } from '../../service/storage/records.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

const schema = z.object({ name: z.string() })
const minute = 60_000

let store: SharedStore
let log: RecordingLog

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  // The cache takes what was kept at zero for kept for ever.
  vi.advanceTimersByTime(1)
  store = new SharedStore()
  log = new RecordingLog()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a record', () => {
  let records: Records<{ name: string }>
  beforeEach(() => {
    records = new Records(store, 'images', schema, log, { memory: 100_000 })
  })
  /** As another instance does. */
  const storeElsewhere = (key: string, name: string) =>
    new Records(store, 'images', schema, log).replace(key, { name })

  test('is read once', async () => {
    await storeElsewhere('a', 'one')
    store.requests.length = 0
    expect(await records.get('a')).toEqual({ name: 'one' })
    expect(await records.get('a')).toEqual({ name: 'one' })
    expect(await records.has('a')).toBe(true)
    expect(store.requests).toEqual(['get images/a'])
  })

  test.each(['settle', 'replace'] as const)('is known after %s', async (method) => {
    await records[method]('a', { name: 'one' })
    store.requests.length = 0
    expect(await records.get('a')).toEqual({ name: 'one' })
    expect(store.requests).toEqual([])
  })

  test('of another instance that was faster holds', async () => {
    expect(await records.get('a')).toBeUndefined()
    await storeElsewhere('a', 'theirs')
    expect(await records.settle('a', { name: 'ours' })).toEqual({ name: 'theirs' })
    expect(await records.get('a')).toEqual({ name: 'theirs' })
  })

  test('that is not there is taken for absent for some seconds, and no longer', async () => {
    expect(await records.get('a')).toBeUndefined()
    expect(await records.has('a')).toBe(false)
    await storeElsewhere('a', 'one')
    store.requests.length = 0
    expect(await records.get('a')).toBeUndefined()
    expect(store.requests).toEqual([])
    await vi.advanceTimersByTimeAsync(5000)
    expect(await records.get('a')).toEqual({ name: 'one' })
  })

  test('is found at once by who asks for it as it is now', async () => {
    expect(await records.get('a')).toBeUndefined()
    await storeElsewhere('a', 'one')
    expect(await records.fresh('a')).toEqual({ name: 'one' })
    expect(await records.get('a')).toEqual({ name: 'one' })
  })

  test('that another instance replaced is seen within some hours', async () => {
    await records.replace('a', { name: 'one' })
    await storeElsewhere('a', 'two')
    expect(await records.get('a')).toEqual({ name: 'one' })
    await vi.advanceTimersByTimeAsync(61 * minute)
    expect(await records.get('a')).toEqual({ name: 'two' })
  })

  test('is forgotten when there are many others', async () => {
    const small = new Records(store, 'images', schema, log, { memory: 1000 })
    for (let index = 0; index < 20; index++) await small.replace(`key${index}`, { name: 'one' })
    store.requests.length = 0
    await small.get('key0')
    await small.get('key19')
    expect(store.requests).toEqual(['get images/key0'])
  })

  test('of a storage close at hand is looked at each time', async () => {
    const close = new Records(store, 'images', schema, log)
    await close.replace('a', { name: 'one' })
    await storeElsewhere('a', 'two')
    expect(await close.get('a')).toEqual({ name: 'two' })
  })
})

describe('a blob', () => {
  const bytes = Buffer.from('{"layers":[]}')
  const digest = sha256Digest(bytes)
  const key = `blobs/sha256/${hexOf(digest)}`
  const document = { descriptor: { mediaType: 'text/plain', digest, size: bytes.length }, bytes }
  let blobs: Blobs
  beforeEach(() => {
    blobs = new Blobs({ store, log, remembers: true })
  })

  test('that was stored is known', async () => {
    await blobs.putDocument(document)
    store.requests.length = 0
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
    expect(store.requests).toEqual([])
  })

  test('is looked for once', async () => {
    store.objects.set(key, bytes)
    await blobs.stat(digest)
    await blobs.stat(digest)
    expect(store.requests).toEqual([`stat ${key}`])
  })

  test('that was read is known', async () => {
    store.objects.set(key, bytes)
    expect(await blobs.document(digest)).toEqual(bytes)
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
    expect(store.requests).toEqual([`get ${key}`])
  })

  test('that is absent is looked for again after some seconds', async () => {
    expect(await blobs.stat(digest)).toBeUndefined()
    expect(await blobs.stat(digest)).toBeUndefined()
    expect(store.requests).toHaveLength(1)
    store.objects.set(key, bytes)
    await vi.advanceTimersByTimeAsync(5000)
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
  })

  test('that a record names is looked for, although it was absent a moment ago', async () => {
    expect(await blobs.stat(digest)).toBeUndefined()
    store.objects.set(key, bytes)
    expect(await blobs.stat(digest)).toBeUndefined()
    expect(await blobs.confirm(digest)).toEqual({ size: bytes.length })
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
  })

  test('that breaks off while it is sent is out of reach, not a fault', async () => {
    store.get = async () =>
      Readable.from(
        (async function* () {
          yield bytes
          throw new TypeError('terminated')
        })(),
      )
    const sending = blobs.send(digest, undefined, async () => {})
    await expect(sending).rejects.toMatchObject({ kind: 'unavailable' })
  })

  test('that is stored already is not stored again, and its file is gone', async () => {
    store.objects.set(key, bytes)
    let discarded = false
    await blobs.putLayer({
      file: { path: '/nowhere', size: bytes.length },
      digest,
      diffId: digest,
      tarSize: bytes.length,
      discard: async () => {
        discarded = true
      },
    })
    expect(discarded).toBe(true)
    expect(store.requests).toEqual([`stat ${key}`])
  })

  test('is looked for again now and then, without anybody waiting for that', async () => {
    await blobs.putDocument(document)
    await vi.advanceTimersByTimeAsync(31 * minute)
    store.requests.length = 0
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
    expect(await blobs.stat(digest)).toEqual({ size: bytes.length })
    expect(store.requests).toEqual([`stat ${key}`])
  })

  test('that was lost is told of', async () => {
    const lost: string[] = []
    const onLost = (found: string) => lost.push(found)
    blobs = new Blobs({ store, log, remembers: true, onLost })
    await blobs.putDocument(document)
    store.objects.delete(key)
    await vi.advanceTimersByTimeAsync(31 * minute)
    await blobs.stat(digest)
    await vi.advanceTimersByTimeAsync(0)
    expect(lost).toEqual([digest])
    expect(await blobs.stat(digest)).toBeUndefined()
  })
})
