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
let shelf: LayerCache

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  disk = await FilesystemStore.open(folder.path)
  store = new ObservedStore(disk)
  packed = []
  packer = new FakePacker(disk.stagingFolder, packed)
  shelf = newShelf()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** Over the same storage, as after a restart or on another instance. */
function newShelf(): LayerCache {
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

test('a layer is packed, stored whole and described', async () => {
  const got = await shelf.get(layer('git'))
  expect(got).toMatchObject({ description: 'layer of git', size: 'agit'.length })
  expect(await disk.stat(keyOf(got.digest))).toEqual({ size: got.size })
})

test('its blob is stored before its record', async () => {
  const { digest } = await shelf.get(layer('git'))
  const puts = store.calls.filter((call) => call.startsWith('put'))
  expect(puts).toEqual([`put ${keyOf(digest)}`, 'put layers/git'])
})

test('however many ask for a key at once, it is packed once', async () => {
  const layers = await Promise.all(Array.from({ length: 16 }, () => shelf.get(layer('git'))))
  expect(packed).toEqual(['pack git'])
  expect(new Set(layers.map(({ digest }) => digest)).size).toBe(1)
})

test('keys do not wait for each other', async () => {
  const both = Promise.withResolvers<void>()
  packer.before = () => {
    if (packed.length === 2) both.resolve()
    return both.promise
  }
  const layers = await Promise.all([shelf.get(layer('git')), shelf.get(layer('zlib'))])
  expect(layers[0]?.digest).not.toBe(layers[1]?.digest)
})

test('a layer that is stored is not packed again, also after a restart', async () => {
  const first = await shelf.get(layer('git'))
  expect(await shelf.get(layer('git'))).toEqual(first)
  expect(await newShelf().get(layer('git'))).toEqual(first)
  expect(packed).toEqual(['pack git'])
})

test('a layer keeps its compressed bytes when the packer has come to compress otherwise', async () => {
  const first = await shelf.get(layer('git'))
  packer.compression = 'b'
  expect(await newShelf().get(layer('git'))).toEqual(first)
})

test('who loses the race for a record takes the winner’s layer', async () => {
  const other = newShelf()
  let winner: unknown
  packer.before = async () => {
    packer.before = () => {}
    winner = await other.get(layer('git'))
    packer.compression = 'b'
  }
  const loser = await shelf.get(layer('git'))
  expect(packed).toHaveLength(2)
  expect(loser).toEqual(winner)
})

describe('a lost blob', () => {
  test('is packed again under the same digest', async () => {
    const first = await shelf.get(layer('git'))
    await disk.delete(keyOf(first.digest))
    expect(await shelf.get(layer('git'))).toEqual(first)
    expect(packed).toHaveLength(2)
    expect(await disk.stat(keyOf(first.digest))).toEqual({ size: first.size })
  })

  test('that cannot be had again in the same bytes gets a new record', async () => {
    const first = await shelf.get(layer('git'))
    await disk.delete(keyOf(first.digest))
    packer.compression = 'b'
    const second = await shelf.get(layer('git'))
    expect(second.digest).not.toBe(first.digest)
    expect(second.diffId).toBe(first.diffId)
    expect(await newShelf().get(layer('git'))).toEqual(second)
    expect(packed).toHaveLength(2)
  })
})

test('a truncated blob is replaced by the whole one', async () => {
  const first = await shelf.get(layer('git'))
  await disk.put(keyOf(first.digest), Buffer.from('a'))
  expect(await shelf.get(layer('git'))).toEqual(first)
  expect(await disk.stat(keyOf(first.digest))).toEqual({ size: first.size })
})

test('a damaged record is written anew', async () => {
  const first = await shelf.get(layer('git'))
  await disk.put('layers/git', Buffer.from('{"dig'))
  expect(await shelf.get(layer('git'))).toEqual(first)
  expect(await newShelf().get(layer('git'))).toEqual(first)
  expect(packed).toHaveLength(2)
})

describe('a pack that fails', () => {
  test('fails all who wait, and is tried again by the next', async () => {
    packer.before = () => {
      throw new Error('cannot read')
    }
    const waiting = await Promise.allSettled([shelf.get(layer('git')), shelf.get(layer('git'))])
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(packed).toHaveLength(1)
    expect(await disk.stat('layers/git')).toBeUndefined()
    packer.before = () => {}
    expect(await shelf.get(layer('git'))).toMatchObject({ size: 4 })
  })

  test('to be stored leaves neither record nor file', async () => {
    // A plain file in the way of the folder.
    await disk.put('blobs', Buffer.from('in the way'))
    await expect(shelf.get(layer('git'))).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await disk.stat('layers/git')).toBeUndefined()
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })
})

test('a storage that does not answer is no reason to pack', async () => {
  await shelf.get(layer('git'))
  store.before = () => {
    throw new Failure('unavailable', 'no answer')
  }
  await expect(shelf.get(layer('git'))).rejects.toMatchObject({ kind: 'unavailable' })
  expect(packed).toHaveLength(1)
})
