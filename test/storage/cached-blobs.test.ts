/** Counts the requests that a cache in front of a remote back end saves. */
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Digest, hexOf, sha256Digest } from '../../service/image/descriptor.ts'
import { Blobs } from '../../service/storage/blobs.ts'
import { CachedBlobs } from '../../service/storage/cached-blobs.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { SharedStore } from '../support/shared-store.ts'

const minute = 60_000
const bytes = Buffer.from('{"layers":[]}')
const size = bytes.length
const digest = sha256Digest(bytes)
const key = `blobs/sha256/${hexOf(digest)}`
const document = { descriptor: { mediaType: 'text/plain', digest, size }, bytes }

let store: SharedStore
let lost: Digest[]
let blobs: CachedBlobs

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  // The LRU cache reads a start time of zero as "never expires".
  vi.advanceTimersByTime(1)
  store = new SharedStore()
  lost = []
  const log = new RecordingLog()
  const onLost = (found: Digest) => lost.push(found)
  blobs = new CachedBlobs({ blobs: new Blobs({ store, log }), onLost, log })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A packed layer with the bytes of the document. Its file exists only if a test writes it. */
function layer() {
  const discarded = vi.fn(async () => {})
  const file = { path: '/nowhere', size }
  return { discarded, layer: { file, digest, diffId: digest, tarSize: size, discard: discarded } }
}

test('stat of a document that this instance stored takes no request', async () => {
  await blobs.putDocument(document)
  store.requests.length = 0
  expect(await blobs.stat(digest)).toEqual({ size })
  expect(store.requests).toEqual([])
})

test('a document that this instance stored is not stored again', async () => {
  await blobs.putDocument(document)
  await blobs.putDocument(document)
  expect(store.requests).toEqual([`put ${key}`])
})

test('two stats of one blob take one request', async () => {
  store.objects.set(key, bytes)
  await blobs.stat(digest)
  await blobs.stat(digest)
  expect(store.requests).toEqual([`stat ${key}`])
})

test('a document is read without a stat, and its size is known from then on', async () => {
  store.objects.set(key, bytes)
  expect(await blobs.document(digest)).toEqual(bytes)
  expect(await blobs.stat(digest)).toEqual({ size })
  expect(store.requests).toEqual([`get ${key}`])
})

test('a blob that is known to be larger than 4 MiB is not read as a document', async () => {
  store.objects.set(key, Buffer.alloc(4 * 1024 * 1024 + 1))
  await blobs.stat(digest)
  store.requests.length = 0
  expect(await blobs.document(digest)).toBeUndefined()
  expect(store.requests).toEqual([])
})

test('a document that is found damaged is replaced when it is put again', async () => {
  await blobs.putDocument(document)
  store.objects.set(key, Buffer.from('{"layers":[0]'))
  expect(await blobs.document(digest)).toBeUndefined()
  await blobs.putDocument(document)
  expect(await blobs.document(digest)).toEqual(bytes)
})

test('an absent blob is looked up again after some seconds, and not before', async () => {
  expect(await blobs.stat(digest)).toBeUndefined()
  expect(await blobs.stat(digest)).toBeUndefined()
  expect(store.requests).toHaveLength(1)
  store.objects.set(key, bytes)
  await vi.advanceTimersByTimeAsync(5000)
  expect(await blobs.stat(digest)).toEqual({ size })
})

test('a blob that a record names is looked up even if it was absent a moment ago', async () => {
  expect(await blobs.stat(digest)).toBeUndefined()
  store.objects.set(key, bytes)
  expect(await blobs.stat(digest)).toBeUndefined()
  expect(await blobs.statRecorded(digest)).toEqual({ size })
  expect(await blobs.stat(digest)).toEqual({ size })
})

test('a blob that is missing when it is sent counts as absent for some seconds', async () => {
  await blobs.putDocument(document)
  store.objects.delete(key)
  expect(await blobs.send(digest, undefined, async () => {})).toBe(false)
  store.requests.length = 0
  expect(await blobs.stat(digest)).toBeUndefined()
  expect(store.requests).toEqual([])
})

test('a blob whose stream breaks while it is sent is unavailable', async () => {
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

test('a layer that the bucket has already is discarded after one stat', async () => {
  store.objects.set(key, bytes)
  const { layer: packed, discarded } = layer()
  await blobs.putLayer(packed)
  expect(discarded).toHaveBeenCalled()
  expect(store.requests).toEqual([`stat ${key}`])
})

test('a layer that is known to be stored is discarded without a request', async () => {
  store.objects.set(key, bytes)
  await blobs.stat(digest)
  store.requests.length = 0
  const { layer: packed, discarded } = layer()
  await blobs.putLayer(packed)
  expect(discarded).toHaveBeenCalled()
  expect(store.requests).toEqual([])
})

test('a known blob is checked again after half an hour, in the background and once', async () => {
  await blobs.putDocument(document)
  await vi.advanceTimersByTimeAsync(31 * minute)
  store.requests.length = 0
  expect(await blobs.stat(digest)).toEqual({ size })
  expect(await blobs.stat(digest)).toEqual({ size })
  expect(store.requests).toEqual([`stat ${key}`])
})

test('a lost blob is reported to onLost', async () => {
  await blobs.putDocument(document)
  store.objects.delete(key)
  await vi.advanceTimersByTimeAsync(31 * minute)
  await blobs.stat(digest)
  await vi.advanceTimersByTimeAsync(0)
  expect(lost).toEqual([digest])
  expect(await blobs.stat(digest)).toBeUndefined()
})
