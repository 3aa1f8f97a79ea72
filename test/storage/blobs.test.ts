import { readdirSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FilesystemStore } from '../../service/adapters/filesystem/filesystem-store.ts'
import { type Digest, hexOf, sha256Digest } from '../../service/image/descriptor.ts'
import { Failure } from '../../service/image/errors.ts'
import { Blobs } from '../../service/storage/blobs.ts'
import { FakePacker } from '../support/fake-packer.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

let folder: TemporaryFolder
let disk: FilesystemStore
let store: ObservedStore
let log: RecordingLog
let blobs: Blobs

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  disk = await FilesystemStore.open(folder.path)
  store = new ObservedStore(disk)
  log = new RecordingLog()
  blobs = new Blobs({ store, log })
})
afterEach(() => folder[Symbol.asyncDispose]())

const bytes = Buffer.from('{"a":"document"}')
const document = {
  descriptor: { mediaType: 'application/json', digest: sha256Digest(bytes), size: bytes.length },
  bytes,
}
const key = `blobs/sha256/${hexOf(document.descriptor.digest)}`

describe('a document', () => {
  const { digest } = document.descriptor

  test('is stored under its digest', async () => {
    await blobs.putDocument(document)
    expect(await blobs.document(digest)).toEqual(bytes)
    expect(await disk.stat(key)).toEqual({ size: bytes.length })
  })

  test('that is not stored is absent', async () => {
    expect(await blobs.document(digest)).toBeUndefined()
    expect(log.lines).toEqual([])
  })

  test('whose bytes are not those of its digest is absent, with an error in the log', async () => {
    await disk.put(key, Buffer.from('{"a":"docum3nt"}'))
    expect(await blobs.document(digest)).toBeUndefined()
    expect(log.at('error')).toMatchObject([{ fields: { digest } }])
  })

  test('that is damaged is replaced when it is put again', async () => {
    await disk.put(key, Buffer.from('{"a":'))
    await blobs.putDocument(document)
    expect(await blobs.document(digest)).toEqual(bytes)
  })

  test('is not looked for in a blob of more than 4 MiB, which is not read', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024 + 1)
    const largeDigest = sha256Digest(large)
    await disk.put(`blobs/sha256/${hexOf(largeDigest)}`, large)
    expect(await blobs.document(largeDigest)).toBeUndefined()
    expect(store.calls.filter((call) => call.startsWith('get'))).toEqual([])
  })

  test('that the storage breaks off is out of reach, not absent', async () => {
    await blobs.putDocument(document)
    store.reading = (_key, stream) => stream.destroy(new Error('connection reset'))
    await expect(blobs.document(digest)).rejects.toMatchObject({ kind: 'unavailable' })
  })
})

test('a digest of another algorithm is not stored, and storage is not asked', async () => {
  const sha512: Digest = `sha512:${'a'.repeat(128)}` as Digest
  expect(await blobs.stat(sha512)).toBeUndefined()
  expect(await blobs.get(sha512)).toBeUndefined()
  expect(await blobs.document(sha512)).toBeUndefined()
  expect(store.calls).toEqual([])
})

describe('a layer', () => {
  let packer: FakePacker

  beforeEach(() => {
    packer = new FakePacker(disk.stagingFolder)
  })

  async function content(digest: Digest): Promise<string> {
    return (await buffer((await blobs.get(digest)) as Readable)).toString()
  }

  test('is stored, and its file consumed', async () => {
    const layer = await packer.pack('paths')
    await blobs.putLayer(layer)
    expect(await content(layer.digest)).toBe('apaths')
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })

  test('that is there already is kept', async () => {
    await blobs.putLayer(await packer.pack('paths'))
    const again = await packer.pack('paths')
    await blobs.putLayer(again)
    expect(await content(again.digest)).toBe('apaths')
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })

  test('replaces one that was cut short', async () => {
    const layer = await packer.pack('paths')
    await disk.put(`blobs/sha256/${hexOf(layer.digest)}`, Buffer.from('apa'))
    await blobs.putLayer(layer)
    expect(await content(layer.digest)).toBe('apaths')
  })

  test('leaves no file behind when the storage does not answer', async () => {
    const layer = await packer.pack('paths')
    store.before = (operation) => {
      if (operation === 'stat') throw new Failure('unavailable', 'no answer')
    }
    await blobs.putLayer(layer)
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })
})

test('there is a URL only where the storage gives one', async () => {
  const { digest } = document.descriptor
  expect(await blobs.url(digest)).toBeUndefined()
  const redirects = { url: async (key: string) => new URL(key, 'https://bucket.example/') }
  const redirected = new Blobs({ store, redirects, log })
  expect((await redirected.url(digest))?.href).toBe(`https://bucket.example/${key}`)
})
