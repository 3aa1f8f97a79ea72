import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { errorOf, objectUrl, uploadMedia, uploadMultipart, uploadUrl } from './by-hand.ts'
import { GcsEmulator } from './emulator.ts'

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
})
afterEach(() => emulator[Symbol.asyncDispose]())

const md5 = (content: string) => createHash('md5').update(content).digest('base64')
/** Of `123456789`. */
const digits = { crc32c: '4waSgw==', md5Hash: md5('123456789') }

test('a multipart upload stores metadata and content', async () => {
  const metadata = {
    name: 'a/b',
    contentType: 'application/json',
    cacheControl: 'no-store',
    metadata: { layer: '1' },
  }
  const response = await uploadMultipart(emulator, metadata, '123456789')

  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({
    kind: 'storage#object',
    bucket: 'layers',
    ...metadata,
    size: '9',
    metageneration: '1',
    storageClass: 'STANDARD',
    ...digits,
  })
  expect(emulator.read('a/b').toString()).toBe('123456789')
  expect(emulator.objects()).toMatchObject([
    { name: 'a/b', size: 9, contentType: 'application/json', cacheControl: 'no-store' },
  ])
  expect(emulator.violations).toEqual([])
})

test('a media upload stores the body, and its type', async () => {
  const headers = { 'Content-Type': 'text/x-layer' }
  const response = await uploadMedia(emulator, 'a', '123456789', { headers })

  expect(await response.json()).toMatchObject({ name: 'a', contentType: 'text/x-layer', ...digits })
  expect(emulator.read('a').toString()).toBe('123456789')
})

test('the type of the second part counts where the metadata has none', async () => {
  const response = await uploadMultipart(emulator, { name: 'a' }, 'text')
  expect(await response.json()).toMatchObject({ contentType: 'text/plain' })
})

test('content may hold what looks like the boundary, wherever the network cuts it', async () => {
  const content = '\r\n--frontie\r\n--\r\n--fronti\r\n\r\n-'
  const body = `--frontier\r\nContent-Type: application/json\r\n\r\n{}\r\n--frontier\r\n\r\n${content}\r\n--frontier--`
  const pieces = new ReadableStream({
    async start(controller) {
      for (const character of body) {
        controller.enqueue(Buffer.from(character))
        await new Promise(setImmediate)
      }
      controller.close()
    },
  })
  const response = await fetch(uploadUrl(emulator, { uploadType: 'multipart', name: 'a' }), {
    method: 'POST',
    headers: { 'Content-Type': 'multipart/related; boundary="frontier"' },
    body: pieces,
    duplex: 'half',
  } as RequestInit)

  expect(response.status).toBe(200)
  expect(emulator.read('a').toString()).toBe(content)
})

test.each([
  ['--frontier\r\n\r\n{}\r\n--frontier\r\n\r\ncut'],
  ['--frontier\r\n\r\n{}\r\n--frontier--'],
  ['nonsense'],
])('a body that is not whole multipart is refused: %j', async (body) => {
  const response = await fetch(uploadUrl(emulator, { uploadType: 'multipart', name: 'a' }), {
    method: 'POST',
    headers: { 'Content-Type': 'multipart/related; boundary=frontier' },
    body,
  })
  expect(response.status).toBe(400)
  expect(emulator.objects()).toEqual([])
})

test('each write has a higher generation', async () => {
  const generations: number[] = []
  for (const content of ['1', '2', '3']) {
    const response = await uploadMedia(emulator, 'a', content)
    generations.push(Number(((await response.json()) as { generation: string }).generation))
  }
  expect(generations).toEqual([...new Set(generations)].sort((a, b) => a - b))
  expect(emulator.read('a').toString()).toBe('3')
})

describe('checksums that come with the content', () => {
  const wrong = { crc32c: 'AAAAAA==', md5Hash: md5('something else') }

  test.each([
    ['MD5 in the metadata', { md5Hash: wrong.md5Hash }, {}],
    ['CRC32C in the metadata', { crc32c: wrong.crc32c }, {}],
    ['CRC32C in a header', {}, { 'X-Goog-Hash': `crc32c=${wrong.crc32c}` }],
    [
      'MD5 beside a right CRC32C',
      {},
      { 'X-Goog-Hash': `crc32c=${digits.crc32c},md5=${wrong.md5Hash}` },
    ],
    ['Content-MD5', {}, { 'Content-MD5': wrong.md5Hash }],
  ])('a wrong %s is refused, and nothing is stored', async (_, metadata, headers) => {
    const response = await uploadMultipart(emulator, { name: 'a', ...metadata }, '123456789', {
      headers,
    })

    expect(await errorOf(response)).toEqual({ status: 400, reason: 'invalid' })
    expect(emulator.objects()).toEqual([])
    expect(emulator.violations).toEqual([expect.stringContaining("doesn't match calculated")])
  })

  test('right ones are accepted', async () => {
    const headers = { 'X-Goog-Hash': `crc32c=${digits.crc32c}, md5=${digits.md5Hash}` }
    const response = await uploadMultipart(emulator, { name: 'a', ...digits }, '123456789', {
      headers,
    })
    expect(response.status).toBe(200)
    expect(emulator.violations).toEqual([])
  })

  test('a malformed header is refused', async () => {
    const headers = { 'X-Goog-Hash': 'sha256=x' }
    expect((await uploadMedia(emulator, 'a', 'x', { headers })).status).toBe(400)
    expect(emulator.violations).toHaveLength(1)
  })
})

describe('preconditions', () => {
  test('ifGenerationMatch=0 wants no object', async () => {
    const query = { ifGenerationMatch: '0' }
    expect((await uploadMedia(emulator, 'a', 'first', { query })).status).toBe(200)
    const second = await uploadMedia(emulator, 'a', 'second', { query })

    expect(second.status).toBe(412)
    expect(await second.json()).toEqual({
      error: {
        code: 412,
        message: 'At least one of the pre-conditions you specified did not hold.',
        errors: [
          {
            message: 'At least one of the pre-conditions you specified did not hold.',
            domain: 'global',
            reason: 'conditionNotMet',
            locationType: 'header',
            location: 'If-Match',
          },
        ],
      },
    })
    expect(emulator.read('a').toString()).toBe('first')
  })

  test('of two uploads that race for a name one gets it', async () => {
    const query = { ifGenerationMatch: '0' }
    const content = 'x'.repeat(300_000)
    const answers = await Promise.all([
      uploadMedia(emulator, 'a', `${content}1`, { query }),
      uploadMedia(emulator, 'a', `${content}2`, { query }),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412])
    expect(emulator.objects()).toHaveLength(1)
  })

  test.each([
    ['ifGenerationMatch', (generation: number) => generation, 200],
    ['ifGenerationMatch', (generation: number) => generation - 1, 412],
    ['ifGenerationNotMatch', (generation: number) => generation, 412],
    ['ifGenerationNotMatch', () => 0, 200],
    ['ifMetagenerationMatch', () => 1, 200],
    ['ifMetagenerationMatch', () => 2, 412],
  ])('%s is checked', async (name, value, status) => {
    emulator.writeObject('a', 'before')
    const generation = emulator.objects()[0]?.generation ?? 0
    const query = { [name]: String(value(generation)) }
    expect((await uploadMedia(emulator, 'a', 'after', { query })).status).toBe(status)
    expect(emulator.read('a').toString()).toBe(status === 200 ? 'after' : 'before')
  })

  test('one that is no number is refused', async () => {
    const query = { ifGenerationMatch: 'none' }
    expect((await uploadMedia(emulator, 'a', 'x', { query })).status).toBe(400)
  })
})

describe('mistakes of the client are noted', () => {
  test('a parameter that means nothing', async () => {
    await uploadMedia(emulator, 'a', 'x', { query: { ifGenerationMatches: '0' } })
    expect(emulator.violations).toEqual([
      'POST /upload/storage/v1/b/layers/o?uploadType=media&name=a&ifGenerationMatches=0: unknown parameter ifGenerationMatches',
    ])
  })

  test('metadata that means nothing', async () => {
    await uploadMultipart(emulator, { name: 'a', contentLength: 1 }, 'x')
    expect(emulator.violations).toEqual([expect.stringContaining('unknown metadata contentLength')])
  })

  test('an upload without a name', async () => {
    expect(await errorOf(await uploadMultipart(emulator, {}, 'x'))).toEqual({
      status: 400,
      reason: 'required',
    })
    expect(emulator.violations).toHaveLength(1)
  })

  test('an operation that there is not', async () => {
    const response = await fetch(objectUrl(emulator, 'a'), { method: 'PUT', body: 'x' })
    expect(response.status).toBe(404)
    expect(emulator.violations).toHaveLength(1)
  })
})

test('checksums can be left out until somebody asks, for measurements', async () => {
  await using fast = await GcsEmulator.start({ bucket: 'layers', checksumming: 'asked' })
  const answer = await uploadMedia(fast, 'a', '123456789')
  expect(await answer.json()).not.toHaveProperty('crc32c')
  expect(await (await fetch(objectUrl(fast, 'a'))).json()).toMatchObject(digits)

  const sent = await uploadMultipart(fast, { name: 'b', md5Hash: md5('other') }, '123456789')
  expect(sent.status).toBe(400)
})

test('objects can be without an MD5, as composite ones are', async () => {
  await using composite = await GcsEmulator.start({ bucket: 'layers', checksumming: 'crc32c' })
  const resource = await (await uploadMedia(composite, 'a', '123456789')).json()
  expect(resource).toMatchObject({ crc32c: digits.crc32c })
  expect(resource).not.toHaveProperty('md5Hash')
})
