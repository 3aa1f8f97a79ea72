/** The client library against the emulator: it must find nothing strange, nor the emulator in it. */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { type Bucket, type CreateWriteStreamOptions, Storage } from '@google-cloud/storage'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GcsEmulator, type RequestRecord } from './emulator.ts'

const content = randomBytes(700_000)
const md5Hash = createHash('md5').update(content).digest('base64')

let emulator: GcsEmulator
let bucket: Bucket
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
  bucket = open()
})
afterEach(async () => {
  expect(emulator.violations).toEqual([])
  await emulator[Symbol.asyncDispose]()
})

function open(autoRetry = false): Bucket {
  const { url: apiEndpoint } = emulator
  // Its waits begin at a second and grow: this is the shortest that it accepts.
  const retryOptions = { autoRetry, maxRetryDelay: 1 }
  return new Storage({ apiEndpoint, projectId: 'test', retryOptions }).bucket('layers')
}

const new_ = { ifGenerationMatch: 0 }
const isUpload = ({ kind }: RequestRecord) => kind === 'upload'

describe('uploads', () => {
  test.each<[string, CreateWriteStreamOptions, object]>([
    ['in one request', { resumable: false }, { upload: 1 }],
    ['resumable, in one piece', {}, { 'upload-start': 1, upload: 1 }],
    ['resumable, in several', { chunkSize: 256 * 1024 }, { 'upload-start': 1, upload: 3 }],
  ])('%s', async (_, options, counts) => {
    const metadata = { contentType: 'text/x-layer', cacheControl: 'no-store', md5Hash }
    const file = bucket.file('blobs/a b+é')
    await file.save(content, { ...options, metadata, preconditionOpts: new_ })

    expect(emulator.read('blobs/a b+é').equals(content)).toBe(true)
    expect(emulator.objects()).toMatchObject([
      { contentType: 'text/x-layer', cacheControl: 'no-store' },
    ])
    expect(emulator.counts()).toEqual(counts)
    expect(file.metadata).toMatchObject({ md5Hash, size: expect.anything() })
  })

  test.each([{ resumable: false }, { resumable: true }])('of nothing, %j', async (options) => {
    await bucket.file('empty').save('', options)
    expect(emulator.objects()).toMatchObject([{ name: 'empty', size: 0 }])
  })

  test.each([{ resumable: false }, { resumable: true }])(
    'over an object that should not be there, %j',
    async (options) => {
      emulator.writeObject('a', 'before')
      const saving = bucket.file('a').save(content, { ...options, preconditionOpts: new_ })
      await expect(saving).rejects.toMatchObject({ code: 412 })
      expect(emulator.read('a').toString()).toBe('before')
    },
  )

  test('that arrive changed are noticed, by the client', async () => {
    emulator.corruptUploads()
    const saving = bucket.file('a').save(content, { resumable: false })
    await expect(saving).rejects.toMatchObject({ code: 'FILE_NO_UPLOAD' })
    // It takes back what it stored.
    expect(emulator.objects()).toEqual([])
  })

  test('that arrive changed are noticed, by the service', async () => {
    emulator.corruptUploads()
    const options = { resumable: false, validation: false, metadata: { md5Hash } }
    await expect(bucket.file('a').save(content, options)).rejects.toMatchObject({ code: 400 })
  })
})

describe('downloads', () => {
  test('whole, verified by either checksum', async () => {
    emulator.writeObject('a', content)
    for (const validation of ['crc32c', 'md5'] as const) {
      const [bytes] = await bucket.file('a').download({ validation })
      expect(bytes.equals(content)).toBe(true)
    }
  })

  test('a range', async () => {
    emulator.writeObject('a', content)
    const bytes = await buffer(bucket.file('a').createReadStream({ start: 1000, end: 1999 }))
    expect(bytes.equals(content.subarray(1000, 2000))).toBe(true)
  })

  test('that arrive changed, or not at all, are noticed', async () => {
    emulator.writeObject('a', content)
    emulator.corruptDownloads()
    const changed = bucket.file('a').download()
    await expect(changed).rejects.toMatchObject({ code: 'CONTENT_DOWNLOAD_MISMATCH' })
    emulator.cutDownloads({ afterBytes: 300_000 })
    await expect(bucket.file('a').download()).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('of what is not there', async () => {
    await expect(bucket.file('a').download()).rejects.toMatchObject({ code: 404 })
  })
})

test('metadata, existence, change, copy, deletion', async () => {
  emulator.writeObject('a', 'x', { contentType: 'text/plain' })
  const file = bucket.file('a')
  expect(await file.exists()).toEqual([true])
  expect(await bucket.file('b').exists()).toEqual([false])
  const [metadata] = await file.getMetadata()
  expect(metadata).toMatchObject({ name: 'a', size: '1', contentType: 'text/plain' })
  await file.setMetadata({ cacheControl: 'no-store' })
  await file.copy('b', { preconditionOpts: new_ })
  expect(emulator.objects()).toMatchObject([
    { name: 'a', metageneration: 2 },
    { name: 'b', cacheControl: 'no-store' },
  ])
  const stale = file.delete({ ifGenerationMatch: 1 })
  await expect(stale).rejects.toMatchObject({ code: 412 })
  await file.delete({ ifGenerationMatch: metadata.generation as number })
  await expect(file.delete()).rejects.toMatchObject({ code: 404 })
  await file.delete({ ignoreNotFound: true })
})

test('a list, over pages', async () => {
  for (const name of ['a/1', 'a/2', 'a/3', 'b']) emulator.writeObject(name, name)
  emulator.settings.pageSize = 2
  const [files] = await bucket.getFiles({ prefix: 'a/' })
  expect(files.map(({ name }) => name)).toEqual(['a/1', 'a/2', 'a/3'])
  expect(emulator.counts()).toEqual({ list: 2 })
})

test('the bucket and what one may do there', async () => {
  emulator.settings.permissions.delete('storage.buckets.get')
  await expect(bucket.getMetadata()).rejects.toMatchObject({ code: 403 })
  const [held] = await bucket.iam.testPermissions(['storage.buckets.get', 'storage.objects.get'])
  expect(held).toEqual({ 'storage.buckets.get': false, 'storage.objects.get': true })
})

describe('the client tries again', () => {
  test('a resumable upload whose connection breaks, from what arrived', async () => {
    emulator.cutUploads({ afterBytes: 400_000 })
    await open(true).file('a').save(content, { preconditionOpts: new_ })
    expect(emulator.read('a').equals(content)).toBe(true)
    expect(emulator.requests.map(({ kind, status, bytesIn }) => [kind, status, bytesIn])).toEqual([
      ['upload-start', 200, 2],
      ['upload', 0, 400_000],
      ['upload-status', 308, 0],
      ['upload', 200, content.length - 256 * 1024],
    ])
  })

  test('pieces of a stream that are refused', async () => {
    emulator.fail(503, 1, isUpload)
    const options = { chunkSize: 512 * 1024, preconditionOpts: new_ }
    await pipeline(Readable.from([content]), open(true).file('a').createWriteStream(options))
    expect(emulator.read('a').equals(content)).toBe(true)
    expect(emulator.counts()).toEqual({ 'upload-start': 1, upload: 3, 'upload-status': 1 })
  })

  test('and learns by the precondition that its upload had worked', async () => {
    emulator.loseAnswers(1, isUpload)
    const options = { resumable: false, preconditionOpts: new_ }
    await expect(open(true).file('a').save(content, options)).rejects.toMatchObject({ code: 412 })
    expect(emulator.read('a').equals(content)).toBe(true)
  })
})
