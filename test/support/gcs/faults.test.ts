import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { errorOf, objectUrl, put, startUpload, uploadMedia, uploadMultipart } from './by-hand.ts'
import { GcsEmulator } from './emulator.ts'

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
  emulator.writeObject('a', Buffer.alloc(100_000, 'a'))
})
afterEach(async () => {
  // That something fails is not the client's mistake.
  expect(emulator.violations).toEqual([])
  await emulator[Symbol.asyncDispose]()
})

const metadata = () => fetch(objectUrl(emulator, 'a'))
const download = () => fetch(objectUrl(emulator, 'a', { alt: 'media' }))

test('fails the next n requests', async () => {
  emulator.fail(503, 2)
  expect(await errorOf(await metadata())).toEqual({ status: 503, reason: 'backendError' })
  expect((await metadata()).status).toBe(503)
  expect((await metadata()).status).toBe(200)
})

test('fails those that match, and does not count the others', async () => {
  emulator.fail(429, 1, ({ kind, key }) => kind === 'download' && key === 'a')
  expect((await metadata()).status).toBe(200)
  expect((await download()).status).toBe(429)
  expect((await download()).status).toBe(200)
})

test('does nothing of what it fails, but reads it', async () => {
  emulator.fail(503)
  expect((await uploadMedia(emulator, 'b', 'x'.repeat(500_000))).status).toBe(503)
  expect(emulator.objects()).toHaveLength(1)
  expect(emulator.requests).toMatchObject([{ kind: 'upload', bytesIn: 500_000, status: 503 }])
})

test('armed twice, the second takes over from the first', async () => {
  emulator.fail(503)
  emulator.fail(500)
  expect([(await metadata()).status, (await metadata()).status]).toEqual([503, 500])
})

test('can be taken back', async () => {
  emulator.fail(503, 100)
  emulator.clearFaults()
  expect((await metadata()).status).toBe(200)
})

test('delays', async () => {
  emulator.delay(60, 1)
  const times: number[] = []
  for (let index = 0; index < 4; index++) {
    const start = performance.now()
    await metadata()
    times.push(performance.now() - start)
  }
  const [slow = 0, ...others] = times
  expect(slow).toBeGreaterThan(50)
  expect(Math.min(...others)).toBeLessThan(50)
})

test('a client that goes away does not hold up the end', async () => {
  emulator.delay(600_000)
  await expect(
    fetch(objectUrl(emulator, 'a'), { signal: AbortSignal.timeout(50) }),
  ).rejects.toThrow()
  await emulator.stop()
})

describe('cuts', () => {
  test('an upload after so many bytes; nothing of it stays', async () => {
    emulator.cutUploads({ afterBytes: 200_000 })
    await expect(uploadMedia(emulator, 'b', 'x'.repeat(500_000))).rejects.toThrow()
    expect(emulator.objects()).toHaveLength(1)
    expect(emulator.requests).toMatchObject([{ bytesIn: 200_000, status: 0 }])
    expect((await uploadMedia(emulator, 'b', 'x'.repeat(500_000))).status).toBe(200)
  })

  test('only an upload that is so long', async () => {
    emulator.cutUploads({ afterBytes: 200_000 })
    expect((await uploadMedia(emulator, 'b', 'short')).status).toBe(200)
    await expect(uploadMedia(emulator, 'b', 'x'.repeat(500_000))).rejects.toThrow()
  })

  test('one of several at the same time', async () => {
    emulator.cutUploads({ afterBytes: 200_000 })
    const names = ['b', 'c', 'd']
    const results = await Promise.allSettled(
      names.map((name) => uploadMedia(emulator, name, 'x'.repeat(500_000))),
    )
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(emulator.objects()).toHaveLength(3)
  })

  test('a download after so many bytes', async () => {
    emulator.cutDownloads({ afterBytes: 70_000 })
    const response = await download()
    expect(response.headers.get('content-length')).toBe('100000')
    let received = 0
    const reading = (async () => {
      for await (const chunk of response.body ?? []) received += chunk.length
    })()
    await expect(reading).rejects.toThrow()
    expect(received).toBe(70_000)
    expect(emulator.requests).toMatchObject([{ bytesOut: 70_000, status: 0 }])
    expect((await (await download()).arrayBuffer()).byteLength).toBe(100_000)
  })
})

describe('loses answers', () => {
  test('after the work is done', async () => {
    emulator.loseAnswers(1, ({ kind }) => kind === 'upload')
    await expect(uploadMedia(emulator, 'b', 'content')).rejects.toThrow()
    expect(emulator.read('b').toString()).toBe('content')
    expect(emulator.requests).toMatchObject([{ kind: 'upload', status: 0 }])

    const again = await uploadMedia(emulator, 'b', 'content', { query: { ifGenerationMatch: '0' } })
    expect(again.status).toBe(412)
  })

  test('of a resumable upload, which can then be asked', async () => {
    const session = await startUpload(emulator, 'b')
    emulator.loseAnswers()
    await expect(put(session, 'bytes 0-*/*', 'content')).rejects.toThrow()
    expect((await put(session, 'bytes */*')).status).toBe(200)
  })
})

describe('corrupts', () => {
  test('what arrives: stored as it came, with the checksum of that', async () => {
    emulator.corruptUploads()
    const answers = [
      await uploadMedia(emulator, 'b', 'content'),
      await uploadMedia(emulator, 'c', 'content'),
    ]
    const [bad, good] = await Promise.all(
      answers.map((answer) => answer.json() as Promise<{ md5Hash: string }>),
    )
    expect(emulator.read('b').toString()).toBe('bontent')
    expect(emulator.read('c').toString()).toBe('content')
    expect(bad?.md5Hash).not.toBe(good?.md5Hash)
  })

  test('what arrives: refused if a checksum came with it', async () => {
    emulator.corruptUploads(2)
    const crc32c = '4waSgw=='
    const simple = await uploadMultipart(emulator, { name: 'b', crc32c }, '123456789')
    const session = await startUpload(emulator, 'b', {}, { crc32c })
    const resumable = await put(session, 'bytes 0-*/*', '123456789')
    expect([simple.status, resumable.status]).toEqual([400, 400])
    expect(emulator.objects()).toHaveLength(1)
  })

  test('what is sent: not what is stored, nor its checksum', async () => {
    emulator.corruptDownloads()
    const [bad, good] = [await download(), await download()]
    expect(bad.headers.get('x-goog-hash')).toBe(good.headers.get('x-goog-hash'))
    const differing = Buffer.compare(
      Buffer.from(await bad.arrayBuffer()),
      Buffer.from(await good.arrayBuffer()),
    )
    expect(differing).not.toBe(0)
    expect(emulator.read('a').every((byte) => byte === 97)).toBe(true)
  })
})

describe('the ledger', () => {
  test('has each request, with what was sent both ways', async () => {
    const before = Date.now()
    await (await uploadMedia(emulator, 'b', 'content')).text()
    await (await download()).text()
    expect(emulator.counts()).toEqual({ upload: 1, download: 1 })
    const [upload, second] = emulator.requests
    expect(upload).toMatchObject({ method: 'POST', key: 'b', bytesIn: 7, status: 200 })
    expect(upload?.path).toBe('/upload/storage/v1/b/layers/o?uploadType=media&name=b')
    expect(upload?.headers).toMatchObject({ host: `127.0.0.1:${emulator.port}` })
    expect(upload?.time).toBeGreaterThanOrEqual(before)
    expect(second).toMatchObject({ method: 'GET', key: 'a', bytesOut: 100_000, status: 200 })
  })

  test('can be begun again; mistakes stay', async () => {
    await fetch(objectUrl(emulator, 'a', { typo: '1' }))
    emulator.resetLedger()
    expect([emulator.requests, emulator.counts()]).toEqual([[], {}])
    expect(emulator.violations).toEqual([expect.stringContaining('unknown parameter typo')])
    emulator.clearViolations()
  })
})

test('an outage: connections are refused, then the same objects are at the same place', async () => {
  const { url } = emulator
  await emulator.stop()
  await expect(metadata()).rejects.toThrow()
  await emulator.start()
  expect(emulator.url).toBe(url)
  expect((await metadata()).status).toBe(200)
})
