import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FilesystemStore } from '../../service/adapters/filesystem/filesystem-store.ts'
import { LayerCache, layerRecord } from '../../service/build/layer-cache.ts'
import { type Digest, hexOf } from '../../service/image/descriptor.ts'
import { Failure } from '../../service/image/errors.ts'
import { Blobs } from '../../service/storage/blobs.ts'
import { Records } from '../../service/storage/records.ts'
import { endlessSpace } from '../support/endless-space.ts'
import { FakePacker } from '../support/fake-packer.ts'
import { noMetrics } from '../support/no-metrics.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

let folder: TemporaryFolder
let disk: FilesystemStore
let store: ObservedStore
let packed: string[]
let packer: FakePacker
let cache: LayerCache

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  disk = await FilesystemStore.open(folder.path)
  store = new ObservedStore(disk)
  packed = []
  packer = new FakePacker(disk.stagingFolder, packed)
  cache = newCache()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** Returns a cache over the same storage, as after a restart or on another instance. */
function newCache(): LayerCache {
  const log = new RecordingLog()
  return new LayerCache({
    records: new Records(store, 'layers', layerRecord, log),
    blobs: new Blobs({ store, log }),
    space: endlessSpace,
    metrics: noMetrics,
    log,
  })
}

const layer = (what: string, key = what) => ({
  key,
  size: what.length,
  description: `layer of ${what}`,
  pack: () => packer.pack(what),
})
const keyOf = (digest: Digest) => `blobs/sha256/${hexOf(digest)}`

test('get() packs a layer, stores its blob and describes it', async () => {
  const got = await cache.get(layer('git'))
  expect(got).toMatchObject({ description: 'layer of git', size: 'agit'.length })
  expect(await disk.stat(keyOf(got.digest))).toEqual({ size: got.size })
})

test('the blob of a layer is stored before its record', async () => {
  const { digest } = await cache.get(layer('git'))
  const puts = store.calls.filter((call) => call.startsWith('put'))
  expect(puts).toEqual([`put ${keyOf(digest)}`, 'put layers/git'])
})

test('concurrent requests for a layer key pack it once', async () => {
  const layers = await Promise.all(Array.from({ length: 16 }, () => cache.get(layer('git'))))
  expect(packed).toEqual(['pack git'])
  expect(new Set(layers.map(({ digest }) => digest)).size).toBe(1)
})

test('layers with different keys are packed at the same time', async () => {
  const both = Promise.withResolvers<void>()
  packer.before = () => {
    if (packed.length === 2) both.resolve()
    return both.promise
  }
  const layers = await Promise.all([cache.get(layer('git')), cache.get(layer('zlib'))])
  expect(layers[0]?.digest).not.toBe(layers[1]?.digest)
})

test('a stored layer is not packed again, also after a restart', async () => {
  const first = await cache.get(layer('git'))
  expect(await cache.get(layer('git'))).toEqual(first)
  expect(await newCache().get(layer('git'))).toEqual(first)
  expect(packed).toEqual(['pack git'])
})

test('a stored layer keeps its compressed bytes when the packer compresses differently', async () => {
  const first = await cache.get(layer('git'))
  packer.compression = 'b'
  expect(await newCache().get(layer('git'))).toEqual(first)
})

test('an instance that loses the race for a layer record uses the layer of the winner', async () => {
  const other = newCache()
  let winner: unknown
  packer.before = async () => {
    packer.before = () => {}
    winner = await other.get(layer('git'))
    packer.compression = 'b'
  }
  const loser = await cache.get(layer('git'))
  expect(packed).toHaveLength(2)
  expect(loser).toEqual(winner)
})

describe('a layer whose blob is lost', () => {
  test('a lost layer blob is packed again under the same digest', async () => {
    const first = await cache.get(layer('git'))
    await disk.delete(keyOf(first.digest))
    expect(await cache.get(layer('git'))).toEqual(first)
    expect(packed).toHaveLength(2)
    expect(await disk.stat(keyOf(first.digest))).toEqual({ size: first.size })
  })

  test('a lost layer blob that compresses to other bytes gets a new record', async () => {
    const first = await cache.get(layer('git'))
    await disk.delete(keyOf(first.digest))
    packer.compression = 'b'
    const second = await cache.get(layer('git'))
    expect(second.digest).not.toBe(first.digest)
    expect(second.diffId).toBe(first.diffId)
    expect(await newCache().get(layer('git'))).toEqual(second)
    expect(packed).toHaveLength(2)
  })
})

test('a truncated layer blob is replaced', async () => {
  const first = await cache.get(layer('git'))
  await disk.put(keyOf(first.digest), Buffer.from('a'))
  expect(await cache.get(layer('git'))).toEqual(first)
  expect(await disk.stat(keyOf(first.digest))).toEqual({ size: first.size })
})

test('a damaged layer record is replaced', async () => {
  const first = await cache.get(layer('git'))
  await disk.put('layers/git', Buffer.from('{"dig'))
  expect(await cache.get(layer('git'))).toEqual(first)
  expect(await newCache().get(layer('git'))).toEqual(first)
  expect(packed).toHaveLength(2)
})

describe('getAll()', () => {
  const requests = ['a', 'large', 'mid'].map((what) => layer(what))

  test('getAll() starts with the largest layer and returns layers in the order of the requests', async () => {
    const layers = await cache.getAll(requests)
    expect(layers.map(({ description }) => description)).toEqual(
      requests.map(({ description }) => description),
    )
    const lookups = store.calls.filter((call) => call.startsWith('get layers/'))
    expect(lookups.slice(0, 3)).toEqual(['get layers/large', 'get layers/mid', 'get layers/a'])
  })

  test('getAll() rejects only after all packs have ended', async () => {
    const slow = Promise.withResolvers<void>()
    const failed = Promise.withResolvers<void>()
    packer.before = async (what) => {
      if (what === 'large') return slow.promise
      failed.resolve()
      throw new Error('cannot read')
    }
    let isSettled = false
    const all = cache.getAll(requests).finally(() => {
      isSettled = true
    })
    await failed.promise
    await new Promise((resolve) => setImmediate(resolve))
    expect(isSettled).toBe(false)
    slow.resolve()
    await expect(all).rejects.toThrow('cannot read')
  })
})

describe('a failed pack', () => {
  test('a failed pack rejects all waiting requests, and the next request packs again', async () => {
    packer.before = () => {
      throw new Error('cannot read')
    }
    const waiting = await Promise.allSettled([cache.get(layer('git')), cache.get(layer('git'))])
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(packed).toHaveLength(1)
    expect(await disk.stat('layers/git')).toBeUndefined()
    packer.before = () => {}
    expect(await cache.get(layer('git'))).toMatchObject({ size: 4 })
  })

  test('a layer that cannot be stored leaves no record and no staged file', async () => {
    // A file in the place of the folder `blobs`.
    await disk.put('blobs', Buffer.from('in the way'))
    await expect(cache.get(layer('git'))).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await disk.stat('layers/git')).toBeUndefined()
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })
})

test('a layer is not packed again while the storage does not answer', async () => {
  await cache.get(layer('git'))
  store.before = () => {
    throw new Failure('unavailable', 'no answer')
  }
  await expect(cache.get(layer('git'))).rejects.toMatchObject({ kind: 'unavailable' })
  expect(packed).toHaveLength(1)
})
