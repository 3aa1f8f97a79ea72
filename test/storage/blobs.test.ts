import { readdirSync } from 'node:fs'
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

describe('documents', () => {
  const { digest } = document.descriptor

  test('a document is stored under its digest', async () => {
    await blobs.putDocument(document)
    expect(await blobs.document(digest)).toEqual(bytes)
    expect(await disk.stat(key)).toEqual({ size: bytes.length })
  })

  test('a document that is not stored is undefined', async () => {
    expect(await blobs.document(digest)).toBeUndefined()
    expect(log.lines).toEqual([])
  })

  test('a document whose bytes do not match its digest is undefined, and logged as an error', async () => {
    await disk.put(key, Buffer.from('{"a":"docum3nt"}'))
    expect(await blobs.document(digest)).toBeUndefined()
    expect(log.at('error')).toMatchObject([{ fields: { digest } }])
  })

  test('a damaged document is replaced when it is put again', async () => {
    await disk.put(key, Buffer.from('{"a":'))
    await blobs.putDocument(document)
    expect(await blobs.document(digest)).toEqual(bytes)
  })

  test('a blob of more than 4 MiB is not read as a document', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024 + 1)
    const largeDigest = sha256Digest(large)
    await disk.put(`blobs/sha256/${hexOf(largeDigest)}`, large)
    expect(await blobs.document(largeDigest)).toBeUndefined()
    expect(store.calls.filter((call) => call.startsWith('get'))).toEqual([])
  })

  test('a document whose stream breaks off is unavailable, not undefined', async () => {
    await blobs.putDocument(document)
    store.reading = (_key, stream) => stream.destroy(new Error('connection reset'))
    await expect(blobs.document(digest)).rejects.toMatchObject({ kind: 'unavailable' })
  })
})

test('a blob with a digest of another algorithm is undefined without a call to the store', async () => {
  const sha512: Digest = `sha512:${'a'.repeat(128)}` as Digest
  expect(await blobs.stat(sha512)).toBeUndefined()
  expect(await blobs.send(sha512, undefined, async () => {})).toBe(false)
  expect(await blobs.readWhole(sha512)).toBeUndefined()
  expect(await blobs.document(sha512)).toBeUndefined()
  expect(store.calls).toEqual([])
})

describe('layers', () => {
  let packer: FakePacker

  beforeEach(() => {
    packer = new FakePacker(disk.stagingFolder)
  })

  async function content(digest: Digest): Promise<string> {
    let text = ''
    await blobs.send(digest, undefined, async (piece) => {
      text += Buffer.from(piece)
    })
    return text
  }

  test('putLayer stores a layer and consumes its file', async () => {
    const layer = await packer.pack('paths')
    await blobs.putLayer(layer)
    expect(await content(layer.digest)).toBe('apaths')
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })

  test('putLayer keeps an equal layer and consumes the file', async () => {
    await blobs.putLayer(await packer.pack('paths'))
    const again = await packer.pack('paths')
    await blobs.putLayer(again)
    expect(await content(again.digest)).toBe('apaths')
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })

  test('putLayer replaces a layer that was cut short', async () => {
    const layer = await packer.pack('paths')
    await disk.put(`blobs/sha256/${hexOf(layer.digest)}`, Buffer.from('apa'))
    await blobs.putLayer(layer)
    expect(await content(layer.digest)).toBe('apaths')
  })

  test('putLayer leaves no file behind when the store does not answer', async () => {
    const layer = await packer.pack('paths')
    store.before = (operation) => {
      if (operation === 'stat') throw new Failure('unavailable', 'no answer')
    }
    await blobs.putLayer(layer)
    expect(readdirSync(disk.stagingFolder)).toEqual([])
  })
})

test('a blob has a URL only if the back end offers redirects', async () => {
  const { digest } = document.descriptor
  expect(await blobs.url(digest)).toBeUndefined()
  const redirects = { url: async (key: string) => new URL(key, 'https://bucket.example/') }
  const redirected = new Blobs({ store, redirects, log })
  expect((await redirected.url(digest))?.href).toBe(`https://bucket.example/${key}`)
})
