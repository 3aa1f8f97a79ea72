import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { errorOf, put, startUpload } from './by-hand.ts'
import { GcsEmulator } from './emulator.ts'

const block = 256 * 1024
const content = randomBytes(2 * block + 1000)
const md5 = createHash('md5').update(content).digest('base64')

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
})
afterEach(() => emulator[Symbol.asyncDispose]())

test('a session is begun, and tells where it is', async () => {
  const metadata = { cacheControl: 'no-store' }
  const headers = { 'X-Upload-Content-Type': 'text/x-layer' }
  const session = await startUpload(emulator, 'a/b', { headers }, metadata)

  expect(session).toMatch(
    /^http:\/\/127\.0\.0\.1:\d+\/upload\/storage\/v1\/b\/layers\/o\?.*upload_id=.+/,
  )
  expect(emulator.objects()).toEqual([])
  expect((await put(session, 'bytes 0-4/5', 'hello')).status).toBe(200)
  expect(emulator.objects()).toMatchObject([
    { name: 'a/b', contentType: 'text/x-layer', cacheControl: 'no-store' },
  ])
})

test.each([
  ['the size known', `bytes 0-${content.length - 1}/${content.length}`],
  ['only the size known', `bytes 0-*/${content.length}`],
  ['nothing known', 'bytes 0-*/*'],
])('all content in one request, %s', async (_, range) => {
  const session = await startUpload(emulator, 'a')
  const response = await put(session, range, content)

  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({
    name: 'a',
    size: String(content.length),
    md5Hash: md5,
  })
  expect(emulator.read('a').equals(content)).toBe(true)
  expect(emulator.violations).toEqual([])
})

test('content in pieces: 308 and what has arrived, until the last', async () => {
  const session = await startUpload(emulator, 'a')
  const first = await put(session, `bytes 0-${block - 1}/*`, content.subarray(0, block))
  expect([first.status, first.headers.get('range')]).toEqual([308, `bytes=0-${block - 1}`])

  const second = await put(
    session,
    `bytes ${block}-${2 * block - 1}/*`,
    content.subarray(block, 2 * block),
  )
  expect([second.status, second.headers.get('range')]).toEqual([308, `bytes=0-${2 * block - 1}`])
  expect(emulator.objects()).toEqual([])

  const range = `bytes ${2 * block}-${content.length - 1}/${content.length}`
  const last = await put(session, range, content.subarray(2 * block))
  expect(last.status).toBe(200)
  expect(await last.json()).toMatchObject({ md5Hash: md5 })
  expect(emulator.read('a').equals(content)).toBe(true)
  expect(emulator.counts()).toEqual({ 'upload-start': 1, upload: 3 })
  expect(emulator.violations).toEqual([])
})

test('what has arrived already may be sent again', async () => {
  const session = await startUpload(emulator, 'a')
  await put(session, `bytes 0-${2 * block - 1}/*`, content.subarray(0, 2 * block))
  const range = `bytes ${block}-${content.length - 1}/${content.length}`
  expect((await put(session, range, content.subarray(block))).status).toBe(200)
  expect(emulator.read('a').equals(content)).toBe(true)
})

describe('a question for what has arrived', () => {
  test('nothing: 308 without a range', async () => {
    const response = await put(await startUpload(emulator, 'a'), 'bytes */*')
    expect([response.status, response.headers.get('range')]).toEqual([308, null])
    expect(emulator.counts()).toEqual({ 'upload-start': 1, 'upload-status': 1 })
  })

  test('something: 308 with the range', async () => {
    const session = await startUpload(emulator, 'a')
    await put(session, `bytes 0-${block - 1}/*`, content.subarray(0, block))
    const response = await put(session, `bytes */${content.length}`)
    expect([response.status, response.headers.get('range')]).toEqual([308, `bytes=0-${block - 1}`])
  })

  test('all, now that the size is said: the object', async () => {
    const session = await startUpload(emulator, 'a')
    await put(session, `bytes 0-${block - 1}/*`, content.subarray(0, block))
    expect((await put(session, `bytes */${block}`)).status).toBe(200)
    expect(emulator.read('a')).toHaveLength(block)
  })

  test('of an upload that is done: the object again', async () => {
    const session = await startUpload(emulator, 'a')
    const done = await (await put(session, 'bytes 0-*/*', content)).json()
    const again = await put(session, 'bytes */*')
    expect([again.status, await again.json()]).toEqual([200, done])
    expect(emulator.objects()).toHaveLength(1)
  })
})

describe('a connection that breaks', () => {
  /** Sends a part of what it promises. */
  function sendPart(session: string, part: Uint8Array): Promise<unknown> {
    return new Promise((resolve) => {
      const headers = {
        'Content-Range': `bytes 0-*/${content.length}`,
        'Content-Length': content.length,
      }
      const cut = request(session, { method: 'PUT', headers })
      cut.once('error', resolve)
      cut.write(part, () => setTimeout(() => cut.destroy(new Error('cut')), 50))
    })
  }

  test('leaves whole blocks behind, from where the client goes on', async () => {
    const session = await startUpload(emulator, 'a', {}, { md5Hash: md5 })
    await sendPart(session, content.subarray(0, block + 5))
    const asked = await put(session, 'bytes */*')
    expect([asked.status, asked.headers.get('range')]).toEqual([308, `bytes=0-${block - 1}`])

    const rest = await put(session, `bytes ${block}-*/${content.length}`, content.subarray(block))
    expect(rest.status).toBe(200)
    expect(await rest.json()).toMatchObject({ md5Hash: md5 })
    expect(emulator.read('a').equals(content)).toBe(true)
    expect(emulator.requests[1]).toMatchObject({ kind: 'upload', status: 0, bytesIn: block + 5 })
  })

  test.each([
    [block - 1, 0],
    [2 * block + 7, 2 * block],
  ])('by a fault, after %i bytes', async (afterBytes, kept) => {
    emulator.cutUploads({ afterBytes })
    const session = await startUpload(emulator, 'a')
    await expect(put(session, 'bytes 0-*/*', content)).rejects.toThrow()
    const asked = await put(session, 'bytes */*')
    expect(asked.headers.get('range')).toBe(kept === 0 ? null : `bytes=0-${kept - 1}`)
    const rest = await put(session, `bytes ${kept}-*/*`, content.subarray(kept))
    expect(await rest.json()).toMatchObject({ md5Hash: md5 })
  })
})

describe('preconditions', () => {
  const query = { ifGenerationMatch: '0' }

  test('are checked when the session begins', async () => {
    emulator.writeObject('a', 'first')
    await expect(startUpload(emulator, 'a', { query })).rejects.toThrow('conditionNotMet')
  })

  test('and when the object would appear', async () => {
    const session = await startUpload(emulator, 'a', { query })
    emulator.writeObject('a', 'faster')
    const response = await put(session, 'bytes 0-*/*', content)
    expect(await errorOf(response)).toEqual({ status: 412, reason: 'conditionNotMet' })
    expect(emulator.read('a').toString()).toBe('faster')
  })
})

describe('checksums', () => {
  const wrong = createHash('md5').update('something else').digest('base64')

  test('promised at the beginning', async () => {
    const session = await startUpload(emulator, 'a', {}, { md5Hash: wrong })
    expect(await errorOf(await put(session, 'bytes 0-*/*', content))).toEqual({
      status: 400,
      reason: 'invalid',
    })
    expect(emulator.objects()).toEqual([])
    expect(emulator.violations).toHaveLength(1)
    expect((await put(session, 'bytes */*')).status).toBe(410)
  })

  test('promised with the last piece', async () => {
    const session = await startUpload(emulator, 'a')
    const headers = { 'X-Goog-Hash': `md5=${wrong}` }
    expect((await put(session, 'bytes 0-*/*', content, headers)).status).toBe(400)
    expect(emulator.objects()).toEqual([])
  })
})

describe('a session that is over', () => {
  test.each([404, 410] as const)('forgotten: %i', async (status) => {
    const session = await startUpload(emulator, 'a')
    emulator.forgetSessions(status)
    expect((await put(session, 'bytes 0-*/*', content)).status).toBe(status)
    expect((await put(session, 'bytes */*')).status).toBe(status)
    expect(emulator.objects()).toEqual([])
  })

  test('cancelled: 499', async () => {
    const session = await startUpload(emulator, 'a')
    expect((await fetch(session, { method: 'DELETE' })).status).toBe(499)
    expect((await put(session, 'bytes */*')).status).toBe(499)
  })

  test('never begun: 404', async () => {
    const session = await startUpload(emulator, 'a')
    const other = session.replace(/upload_id=.+/, 'upload_id=x')
    expect((await put(other, 'bytes */*')).status).toBe(404)
  })
})

describe('mistakes of the client are refused and noted', () => {
  const total = content.length
  test.each([
    ['a malformed range', 'bytes 0--1/0', ''],
    ['a range that ends before it begins', 'bytes 5-4/10', ''],
    ['a range beyond the end', 'bytes 0-9/9', 'x'.repeat(10)],
    ['another unit', 'lines 0-4/5', 'hello'],
    ['a gap', `bytes ${block}-*/*`, content],
    ['a piece that is not whole blocks', 'bytes 0-999/*', content.subarray(0, 1000)],
    [
      'less content than the range says',
      `bytes 0-${total - 1}/${total}`,
      content.subarray(0, block),
    ],
    ['more content than the range says', 'bytes 0-4/5', 'hello!'],
    ['more content than announced', 'bytes 0-*/5', 'hello!'],
    ['a question with content', 'bytes */*', 'hello'],
  ])('%s', async (_, range, body) => {
    const session = await startUpload(emulator, 'a')
    const response = await put(session, range, body)
    expect(await errorOf(response)).toEqual({ status: 400, reason: 'invalid' })
    expect(emulator.violations).toHaveLength(1)
    expect(emulator.objects()).toEqual([])
    // The session goes on as if that had not been.
    expect((await put(session, 'bytes */*')).headers.get('range')).toBeNull()
  })

  test('another size than was announced', async () => {
    const headers = { 'X-Upload-Content-Length': '5' }
    const session = await startUpload(emulator, 'a', { headers })
    expect((await put(session, 'bytes 0-5/6', 'hello!')).status).toBe(400)
    expect(emulator.violations).toHaveLength(1)
    expect((await put(session, 'bytes 0-*/*', 'hello')).status).toBe(200)
  })
})

test('sessions outlive an outage', async () => {
  const session = await startUpload(emulator, 'a')
  await put(session, `bytes 0-${block - 1}/*`, content.subarray(0, block))
  await emulator.stop()
  await expect(put(session, 'bytes */*')).rejects.toThrow()
  await emulator.start()
  expect((await put(session, 'bytes */*')).headers.get('range')).toBe(`bytes=0-${block - 1}`)
})
