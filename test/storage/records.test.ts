import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { FilesystemStore } from '../../service/adapters/filesystem/filesystem-store.ts'
import { layerRecord } from '../../service/build/layer-cache.ts'
import { planRecord } from '../../service/layering/records.ts'
import { imageRecord } from '../../service/storage/image-record.ts'
import { Records } from '../../service/storage/records.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

interface Note {
  word: string
}

let folder: TemporaryFolder
let store: ObservedStore
let log: RecordingLog
let notes: Records<Note>

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  store = new ObservedStore(await FilesystemStore.open(folder.path))
  log = new RecordingLog()
  notes = new Records(store, 'notes', z.object({ word: z.string() }), log)
})
afterEach(() => folder[Symbol.asyncDispose]())

test('a record that was never written is absent', async () => {
  expect(await notes.get('a')).toBeUndefined()
  expect(log.lines).toEqual([])
})

test('settle writes a record that does not exist', async () => {
  expect(await notes.settle('a', { word: 'first' })).toEqual({ word: 'first' })
  expect(await notes.get('a')).toEqual({ word: 'first' })
})

test('settle returns the record of an earlier writer', async () => {
  await notes.settle('a', { word: 'first' })
  expect(await notes.settle('a', { word: 'second' })).toEqual({ word: 'first' })
  expect(await notes.get('a')).toEqual({ word: 'first' })
})

test('concurrent settles of one key all return the same record', async () => {
  const words = Array.from({ length: 10 }, (_, index) => `word ${index}`)
  const settled = await Promise.all(words.map((word) => notes.settle('a', { word })))
  const kept = await notes.get('a')
  expect(words).toContain(kept?.word)
  expect(settled).toEqual(words.map(() => kept))
})

test('replace overwrites a record', async () => {
  await notes.settle('a', { word: 'first' })
  await notes.replace('a', { word: 'second' })
  expect(await notes.get('a')).toEqual({ word: 'second' })
})

test('keys lists the keys of this kind only', async () => {
  await notes.settle('a', { word: 'one' })
  await notes.settle('b', { word: 'two' })
  await store.put('notesque/c', Buffer.from('{}'))
  const keys: string[] = []
  for await (const key of notes.keys()) keys.push(key)
  expect(keys.sort()).toEqual(['a', 'b'])
})

describe('damaged records', () => {
  test.each([
    ['cut short', '{"word":"fi'],
    ['empty', ''],
    ['of another shape', '{"words":["first"]}'],
    ['not UTF-8', Buffer.from([0xff, 0xfe, 0])],
  ])('a record that is %s counts as absent, with a warning that names it', async (_, content) => {
    await store.put('notes/a', Buffer.from(content as string))
    expect(await notes.get('a')).toBeUndefined()
    expect(log.at('warn')).toMatchObject([{ fields: { key: 'notes/a' } }])
  })

  test('settle replaces a damaged record', async () => {
    await store.put('notes/a', Buffer.from('{"word":"fi'))
    expect(await notes.settle('a', { word: 'second' })).toEqual({ word: 'second' })
    expect(await notes.get('a')).toEqual({ word: 'second' })
  })
})

describe('streams that break in the middle of a record', () => {
  beforeEach(async () => {
    await notes.settle('a', { word: 'first' })
    store.reading = (_key, stream) => {
      stream.destroy()
      return Readable.from(
        (async function* () {
          yield Buffer.from('{"wo')
          throw new Error('connection reset')
        })(),
      )
    }
  })

  test('a record whose stream breaks off is unavailable, not absent', async () => {
    await expect(notes.get('a')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('connection reset'),
    })
  })

  test('settle does not overwrite a record whose stream breaks off', async () => {
    await expect(notes.settle('a', { word: 'second' })).rejects.toMatchObject({
      kind: 'unavailable',
    })
    store.reading = (_key, stream) => stream
    expect(await notes.get('a')).toEqual({ word: 'first' })
  })
})

describe('schemas', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const layer = { digest, size: 1, diffId: digest, tarSize: 2 }
  const descriptor = { mediaType: 'type', digest, size: 1 }
  const image = {
    ...{ name: 'hello', packages: ['hello'], architecture: 'amd64', revision: 'r', size: 1 },
    ...{ oci: descriptor, docker: descriptor },
  }

  test.each([
    ['a layer with a malformed digest', layerRecord, layer, { digest: 'sha256:short' }],
    ['a layer of a negative size', layerRecord, layer, { size: -1 }],
    ['a layer without a diff id', layerRecord, layer, { diffId: undefined }],
    [
      'a plan with something other than paths',
      planRecord,
      { knowledge: 'none', layers: [['/a']] },
      { layers: [[1]] },
    ],
    ['an image without its manifest', imageRecord, image, { oci: undefined }],
    [
      'an image whose manifest has no digest',
      imageRecord,
      image,
      { docker: { ...descriptor, digest: '' } },
    ],
  ])('a schema refuses %s', (_, schema: z.ZodType, right, wrong) => {
    expect(schema.safeParse(right).success).toBe(true)
    expect(schema.safeParse({ ...right, ...wrong }).success).toBe(false)
  })
})
