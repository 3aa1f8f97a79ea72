/** The adapter for buckets, tested with an emulator that checks every request. */

import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { GcsStore, type GcsStoreOptions } from '../../../service/adapters/gcs/gcs-store.ts'
import type { LocalFile } from '../../../service/storage/ports.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import {
  GcsEmulator,
  type RequestRecord,
  type ServiceAccountKey,
} from '../../support/gcs/emulator.ts'
import { PrefixedStore } from '../../support/prefixed-store.ts'
import { RecordingLog } from '../../support/recording-log.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

const megabyte = 1024 * 1024

let emulator: GcsEmulator
let folder: TemporaryFolder
let log: RecordingLog
let stores: GcsStore[]
let before: string | undefined
/** Shared by all tests, because making a key takes a while. */
let key: ServiceAccountKey | undefined

beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers', ...(key ? { credentials: key } : {}) })
  key ??= emulator.credentials
  folder = await TemporaryFolder.create()
  log = new RecordingLog()
  stores = []
  before = process.env.GOOGLE_APPLICATION_CREDENTIALS
})
afterEach(async () => {
  for (const store of stores) store.close()
  if (before === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS
  else process.env.GOOGLE_APPLICATION_CREDENTIALS = before
  expect(emulator.violations).toEqual([])
  await emulator[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function open(options: Partial<GcsStoreOptions> = {}): Promise<GcsStore> {
  const keyPath = join(folder.path, 'key.json')
  await emulator.writeKey(keyPath)
  const { credentialsPath = keyPath } = options
  // Google's libraries read this variable.
  process.env.GOOGLE_APPLICATION_CREDENTIALS = credentialsPath
  const store = await GcsStore.open({
    bucket: 'layers',
    credentialsPath,
    signByIam: false,
    redirect: true,
    endpoint: new URL(emulator.url),
    stagingFolder: join(folder.path, 'staging'),
    log,
    retryDelay: 10,
    ...options,
  })
  stores.push(store)
  return store
}

async function file(store: GcsStore, bytes: Uint8Array): Promise<LocalFile> {
  const path = join(store.stagingFolder, `layer-${randomBytes(4).toString('hex')}`)
  await writeFile(path, bytes)
  return { path, size: bytes.length }
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const read = async (store: GcsStore, key: string) => {
  const stream = await store.get(key)
  return stream && buffer(stream)
}

objectStoreContract('GcsStore', () => open())

objectStoreContract(
  'GcsStore on a bucket with failures',
  async () => {
    const store = await open()
    const everyNth = (n: number) => {
      let count = 0
      return () => ++count % n === 0
    }
    emulator.fail(503, 1000, everyNth(9))
    emulator.fail(429, 1000, everyNth(23))
    const lost = everyNth(7)
    emulator.loseAnswers(1000, ({ method }) => method === 'GET' && lost())
    emulator.cutUploads({ afterBytes: 300_000, times: 3, match: ({ bytesIn }) => bytesIn === 0 })
    return store
  },
  { timeout: 30_000 },
)

/**
 * Also runs the contract on a real bucket if SLIPWAY_TEST_GCS_BUCKET names one. The machine needs
 * application default credentials with roles/storage.objectAdmin on the bucket. All objects get the prefix
 * `slipway-test-…/`, and are deleted at the end.
 */
const realBucket = process.env.SLIPWAY_TEST_GCS_BUCKET
if (realBucket) {
  describe('real bucket', () => {
    const root = `slipway-test-${randomBytes(6).toString('hex')}`
    let store: GcsStore | undefined
    let staging: TemporaryFolder
    let tests = 0

    beforeAll(async () => {
      staging = await TemporaryFolder.create()
      const credentialsPath = process.env.GOOGLE_APPLICATION_CREDENTIALS
      store = await GcsStore.open({
        bucket: realBucket,
        ...(credentialsPath ? { credentialsPath } : {}),
        signByIam: false,
        redirect: false,
        stagingFolder: staging.path,
        log: new RecordingLog(),
      })
    })
    afterAll(async () => {
      for await (const key of store?.list(`${root}/`) ?? []) await store?.delete(key)
      store?.close()
      await staging[Symbol.asyncDispose]()
    }, 300_000)

    objectStoreContract(
      `GcsStore on gs://${realBucket}`,
      async () => {
        if (store === undefined) throw new Error('the bucket is not open')
        tests += 1
        return new PrefixedStore(store, `${root}/${tests}/`)
      },
      { timeout: 300_000 },
    )
  })
}

describe('objects', () => {
  test('a small object takes one request, with its type and Cache-Control', async () => {
    const store = await open()
    emulator.resetLedger()
    await store.put('blobs/sha256/a', Buffer.from('{}'), { contentType: 'application/json' })
    await store.put('images/a', Buffer.from('{}'), { contentType: 'application/json' })
    expect(emulator.counts()).toEqual({ upload: 2 })
    expect(emulator.objects()).toMatchObject([
      {
        name: 'blobs/sha256/a',
        contentType: 'application/json',
        cacheControl: 'public, max-age=31536000, immutable',
      },
      { name: 'images/a', contentType: 'application/json', cacheControl: 'no-store' },
    ])
  })

  test('a large object takes a session and one request', async () => {
    const store = await open()
    const bytes = randomBytes(20 * megabyte)
    const layer = await file(store, bytes)
    emulator.resetLedger()
    await store.put('blobs/sha256/a', layer, { contentType: 'application/octet-stream' })
    expect(emulator.counts()).toEqual({ 'upload-start': 1, upload: 1 })
    expect(digestOf(emulator.read('blobs/sha256/a'))).toBe(digestOf(bytes))
    expect(emulator.objects()).toMatchObject([
      {
        contentType: 'application/octet-stream',
        cacheControl: 'public, max-age=31536000, immutable',
      },
    ])
  })

  test.each([
    ['small', 1000],
    ['large', 3 * megabyte],
  ])('a %s object that arrives corrupted is refused by the bucket', async (_, size) => {
    const store = await open()
    const bytes = randomBytes(size)
    emulator.corruptUploads(1)
    await expect(store.put('blobs/sha256/a', await file(store, bytes))).rejects.toThrow(/400/)
    expect(emulator.objects()).toEqual([])
    emulator.clearViolations()
    await store.put('blobs/sha256/a', await file(store, bytes))
    expect(digestOf(emulator.read('blobs/sha256/a'))).toBe(digestOf(bytes))
  })

  test('a known checksum is not computed again', async () => {
    const store = await open()
    const bytes = randomBytes(3 * megabyte)
    const wrong = createHash('md5').update('something else').digest('base64')
    const layer = { ...(await file(store, bytes)), md5: wrong }
    await expect(store.put('blobs/sha256/a', layer)).rejects.toThrow(/400/)
    emulator.clearViolations()
  })

  test('a reader that leaves a download does not disturb another one', async () => {
    const store = await open()
    const bytes = randomBytes(20 * megabyte)
    emulator.writeObject('large', bytes)
    const [left, kept] = await Promise.all([store.get('large'), store.get('large')])
    for await (const _ of left as Readable) break
    expect(digestOf(await buffer(kept as Readable))).toBe(digestOf(bytes))
  })

  test('a small download that breaks off is repeated', async () => {
    const store = await open()
    emulator.writeObject('images/a', randomBytes(100_000))
    emulator.cutDownloads({ afterBytes: 50_000 })
    expect(await read(store, 'images/a')).toEqual(emulator.read('images/a'))
  })

  test('a large download that breaks off is an error', async () => {
    const store = await open()
    emulator.writeObject('blobs/sha256/a', randomBytes(20 * megabyte))
    emulator.cutDownloads({ afterBytes: megabyte })
    await expect(read(store, 'blobs/sha256/a')).rejects.toThrow()
  })
})

describe('large uploads', () => {
  const bytes = randomBytes(30 * megabyte)

  async function upload(store: GcsStore): Promise<string> {
    return store.put('blobs/sha256/a', await file(store, bytes), { ifAbsent: true })
  }
  function expectWhole(): void {
    expect(emulator.objects()).toHaveLength(1)
    expect(digestOf(emulator.read('blobs/sha256/a'))).toBe(digestOf(bytes))
  }
  const sent = () =>
    emulator.requests
      .filter(({ kind }) => kind === 'upload')
      .reduce((sum, { bytesIn }) => sum + bytesIn, 0)

  test('an upload that is cut continues after the last byte that arrived', async () => {
    const store = await open()
    emulator.cutUploads({ afterBytes: 20 * megabyte })
    expect(await upload(store)).toBe('stored')
    expectWhole()
    expect(sent()).toBeLessThan(bytes.length + megabyte)
  })

  test('an upload that is cut before any byte arrived starts over', async () => {
    const store = await open()
    emulator.cutUploads({ afterBytes: 1000, times: 2 })
    expect(await upload(store)).toBe('stored')
    expectWhole()
  })

  test('an upload that is cut eight times, each time further on, is completed', async () => {
    const store = await open()
    emulator.cutUploads({ afterBytes: 3 * megabyte, times: 8 })
    expect(await upload(store)).toBe('stored')
    expectWhole()
  }, 30_000)

  test('an upload without any progress fails', async () => {
    const store = await open()
    emulator.cutUploads({ afterBytes: 1000, times: 1000 })
    emulator.fail(503, 1, ({ kind }) => kind === 'upload-status')
    await expect(upload(store)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(emulator.counts().upload).toBeLessThan(10)
  }, 40_000)

  test.each([404, 410] as const)(
    'an upload whose session is lost (%d) starts over',
    async (status) => {
      // Leaves the emulator time to note the cut before the session is lost.
      const store = await open({ retryDelay: 500 })
      emulator.cutUploads({ afterBytes: 10 * megabyte })
      const uploading = upload(store)
      await expect.poll(() => emulator.counts()['upload-status'] ?? sent()).toBeGreaterThan(0)
      await expect.poll(() => sent()).toBeGreaterThan(9 * megabyte)
      emulator.forgetSessions(status)
      expect(await uploading).toBe('stored')
      expectWhole()
    },
  )

  test('an upload that is refused three times is completed', async () => {
    const store = await open()
    emulator.fail(503, 3, ({ kind }) => kind === 'upload' || kind === 'upload-start')
    expect(await upload(store)).toBe('stored')
    expectWhole()
  })

  test('an upload whose response is lost is stored once', async () => {
    const store = await open()
    emulator.loseAnswers(1, ({ kind }) => kind === 'upload')
    expect(['stored', 'exists']).toContain(await upload(store))
    expectWhole()
  })

  test('an upload with ifAbsent keeps an object that was stored meanwhile', async () => {
    const store = await open()
    emulator.delay(300, 1, ({ kind }) => kind === 'upload')
    const uploading = upload(store)
    await expect.poll(() => emulator.counts()['upload-start'] ?? 0).toBe(1)
    emulator.writeObject('blobs/sha256/a', 'theirs')
    expect(await uploading).toBe('exists')
    expect(emulator.read('blobs/sha256/a').toString()).toBe('theirs')
  })

  test('a failed upload leaves no file behind', async () => {
    const store = await open()
    emulator.fail(403, 1, ({ kind }) => kind === 'upload')
    await expect(upload(store)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(readdirSync(store.stagingFolder)).toEqual([])
  })

  test('four large uploads run at a time', async () => {
    const store = await open()
    let most = 0
    emulator.delay(200, 12, ({ kind }) => {
      const isRunning = (other: RequestRecord) => other.kind === 'upload' && other.status === 0
      most = Math.max(most, emulator.requests.filter(isRunning).length)
      return kind === 'upload'
    })
    const layers = await Promise.all(
      Array.from({ length: 12 }, () => file(store, randomBytes(3 * megabyte))),
    )
    await Promise.all(layers.map((layer, index) => store.put(`blobs/sha256/a${index}`, layer)))
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(4)
  })
})

describe('outages', () => {
  test('a failing bucket gets few more requests than a healthy one', async () => {
    const store = await open()
    emulator.resetLedger()
    emulator.fail(503, 100_000)
    const calls = 100
    const outcomes = await Promise.allSettled(
      Array.from({ length: calls }, (_, index) => store.stat(`images/${index}`)),
    )
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    expect(emulator.requests.length).toBeLessThan(1.5 * calls)
  })

  test('a failing bucket is unavailable, and clients are told to try again', async () => {
    const store = await open()
    emulator.fail(503, 1000)
    await expect(store.stat('images/a')).rejects.toMatchObject({
      kind: 'unavailable',
      retryAfter: 10,
      message: expect.stringMatching(/^the bucket layers answered 503: /),
    })
  }, 30_000)

  test('an outage is reported until the bucket is back', async () => {
    const store = await open()
    expect(store.outage()).toBeUndefined()
    await emulator.stop()
    await expect(store.stat('images/a')).rejects.toMatchObject({ kind: 'unavailable' })
    expect(store.outage()).toMatch(/^the bucket layers is out of reach: .*ECONNREFUSED/)
    await emulator.start()
    // The store probes the bucket without any request for an object.
    await expect.poll(() => store.outage(), { timeout: 10_000 }).toBeUndefined()
    expect(log.lines.map(({ message }) => message)).toEqual([
      'the bucket cannot be used; trying again',
      'the bucket can be used again',
    ])
  }, 30_000)

  test('denied access is reported with the role that is missing', async () => {
    const store = await open()
    emulator.fail(403, 1)
    await expect(store.put('a', Buffer.from('content'))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(
        /^the bucket layers answered 403: .*roles\/storage\.objectAdmin/,
      ),
    })
  })
})

describe('open', () => {
  test('open sends no request for which a user of objects has no permission', async () => {
    await open()
    expect(emulator.counts()).toEqual({ permissions: 1 })
  })

  test.each([
    [
      'there is no such bucket',
      { bucket: 'another' },
      'GCS_BUCKET="another": there is no such bucket; create it, or name one that exists',
    ],
    [
      'the endpoint does not answer',
      { endpoint: new URL('http://127.0.0.1:1234') },
      /^the bucket layers is out of reach: .*ECONNREFUSED/,
    ],
  ])('open fails when %s', async (_, options, message) => {
    await expect(open(options)).rejects.toMatchObject({
      kind: 'unavailable',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    })
  })

  test('open fails when a permission is missing, and names it and the role', async () => {
    emulator.settings.permissions.delete('storage.objects.delete')
    await expect(open()).rejects.toThrow(
      'GCS_BUCKET="layers": the service account lacks storage.objects.delete; grant it roles/storage.objectAdmin on the bucket',
    )
  })

  test('open fails when access is denied, and names the role', async () => {
    emulator.fail(403, 1)
    await expect(open()).rejects.toThrow(
      'GCS_BUCKET="layers": access is denied; grant the service account roles/storage.objectAdmin on the bucket',
    )
  })

  test('open fails when the credentials are not JSON, and does not quote them', async () => {
    const credentialsPath = join(folder.path, 'other.json')
    await writeFile(credentialsPath, '-----BEGIN PRIVATE KEY-----')
    await expect(open({ credentialsPath })).rejects.toThrow(
      `GOOGLE_APPLICATION_CREDENTIALS="${credentialsPath}" is not a file with Google credentials: it is not JSON`,
    )
  })

  test('open deletes the layers that a crash left behind', async () => {
    const store = await open()
    await file(store, Buffer.from('half a layer'))
    expect(readdirSync((await open()).stagingFolder)).toEqual([])
  })
})

describe('redirects', () => {
  const key = 'blobs/sha256/a'

  async function urlOf(store: GcsStore): Promise<URL> {
    const url = await store.redirects?.url(key)
    if (url === undefined) throw new Error('the store has no redirects')
    return url
  }

  test('a URL is signed with the key, without a request, and leads to the object', async () => {
    const store = await open()
    await store.put(key, Buffer.from('content'))
    emulator.resetLedger()
    const url = await urlOf(store)
    expect(emulator.requests).toEqual([])
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([200, 'content'])
  })

  test('a URL is valid for five minutes', async () => {
    const store = await open()
    await store.put(key, Buffer.from('content'))
    const url = await urlOf(store)
    emulator.clock = 4.9 * 60_000
    expect((await fetch(url)).status).toBe(200)
    emulator.clock = 5.1 * 60_000
    expect((await fetch(url)).status).toBe(400)
  })

  test('concurrent and later callers get the same URL', async () => {
    const store = await open()
    const [one, two] = await Promise.all([urlOf(store), urlOf(store)])
    expect(one.href).toBe(two.href)
    expect((await urlOf(store)).href).toBe(one.href)
  })

  test('another object has another URL', async () => {
    const store = await open()
    expect((await store.redirects?.url('blobs/sha256/b'))?.href).not.toBe((await urlOf(store)).href)
  })

  test('a URL is signed by IAM if there is no key', async () => {
    const credentialsPath = join(folder.path, 'keyless.json')
    await emulator.writeKeylessCredentials(credentialsPath)
    const store = await open({ credentialsPath, signByIam: true })
    await store.put(key, Buffer.from('content'))
    emulator.resetLedger()
    const url = await urlOf(store)
    await urlOf(store)
    expect(emulator.counts().sign).toBe(1)
    expect(await (await fetch(url)).text()).toBe('content')
  })

  test('a URL is public if the service cannot sign', async () => {
    const credentialsPath = join(folder.path, 'keyless.json')
    await emulator.writeKeylessCredentials(credentialsPath)
    const store = await open({ credentialsPath })
    expect((await urlOf(store)).href).toBe(`${emulator.url}/layers/${key}`)
  })

  test('a store without redirects gives no URL', async () => {
    expect((await open({ redirect: false })).redirects).toBeUndefined()
  })
})

describe('versioned objects', () => {
  test('the version changes with each write, and is gone with the object', async () => {
    const { versioned } = await open()
    expect(await versioned.version('leases/a')).toBeUndefined()
    const first = await versioned.write('leases/a', Buffer.from('1'), undefined)
    expect(await versioned.version('leases/a')).toBe(first)
    const second = await versioned.write('leases/a', Buffer.from('2'), first)
    expect(second).not.toBe(first)
    await versioned.remove('leases/a', second as string)
    expect(await versioned.version('leases/a')).toBeUndefined()
  })

  test('write and remove with another version than the expected one change nothing', async () => {
    const { versioned } = await open()
    const version = await versioned.write('leases/a', Buffer.from('1'), undefined)
    expect(await versioned.write('leases/a', Buffer.from('2'), undefined)).toBeUndefined()
    expect(await versioned.write('leases/a', Buffer.from('2'), '12345')).toBeUndefined()
    await versioned.remove('leases/a', '12345')
    expect(await versioned.version('leases/a')).toBe(version)
    await versioned.remove('leases/nothing', '12345')
  })

  test('one of ten concurrent writes of a new object succeeds', async () => {
    const { versioned } = await open()
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        versioned.write('leases/a', Buffer.from(String(index)), undefined),
      ),
    )
    expect(outcomes.filter((version) => version !== undefined)).toHaveLength(1)
  })
})
