// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
// https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Digest } from '../../../service/image/descriptor.ts'
import { contentHeaders } from '../../support/app-server.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'

const size = 2_500_000
const bytes = randomBytes(size)
const digest = sha256Digest(bytes)
const path = `/v2/hello/blobs/${digest}`

let server: RegistryServer
beforeAll(async () => {
  server = await RegistryServer.start()
  await server.bench.putBlob(bytes)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('a range', () => {
  test.each([
    ['the first byte', 'bytes=0-0', 0, 0],
    ['the last byte', `bytes=${size - 1}-${size - 1}`, size - 1, size - 1],
    ['a part', 'bytes=1000-1999', 1000, 1999],
    ['a part that crosses a megabyte', 'bytes=1048570-2097160', 1048570, 2097160],
    ['the rest', 'bytes=2000000-', 2000000, size - 1],
    ['all as the rest', 'bytes=0-', 0, size - 1],
    ['the whole', `bytes=0-${size - 1}`, 0, size - 1],
    ['an end after the end of the blob', 'bytes=2499990-9999999', 2499990, size - 1],
    ['a suffix', 'bytes=-500', size - 500, size - 1],
    ['a suffix of all', `bytes=-${size}`, 0, size - 1],
    ['a suffix of more than all', 'bytes=-99999999', 0, size - 1],
    ['another spelling of the unit', 'Bytes=0-9', 0, 9],
  ])('GET blob with Range of %s answers 206 with these bytes: %s', async (_, Range, start, end) => {
    const answer = await server.get(path, { Range })
    expect(answer.status).toBe(206)
    expect(answer.body.equals(bytes.subarray(start, end + 1))).toBe(true)
    expect(contentHeaders(answer)).toEqual({
      'content-type': 'application/octet-stream',
      'content-length': String(end - start + 1),
      'content-range': `bytes ${start}-${end}/${size}`,
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'cache-control': 'public, max-age=31536000, immutable',
      'accept-ranges': 'bytes',
      'docker-distribution-api-version': 'registry/2.0',
    })
  })
})

test('two ranges of a blob make up the whole blob', async () => {
  const first = await server.get(path, { Range: 'bytes=0-1234566' })
  const rest = await server.get(path, { Range: 'bytes=1234567-' })
  expect(sha256Digest(Buffer.concat([first.body, rest.body]))).toBe(digest)
})

describe('a range without a byte of the blob', () => {
  test.each([
    ['begins at the end', `bytes=${size}-`],
    ['begins after the end', 'bytes=9999998-9999999'],
    ['is an empty suffix', 'bytes=-0'],
    ['has a start of twenty digits', 'bytes=99999999999999999999-'],
  ])('GET blob with a Range that %s answers 416 with the size: %s', async (_, Range) => {
    const answer = await server.get(path, { Range })
    expect(answer.status).toBe(416)
    expect(answer.headers['content-range']).toBe(`bytes */${size}`)
    expect(registryError(answer)).toMatchObject({
      code: 'RANGE_INVALID',
      message: expect.stringContaining(Range),
      detail: { range: Range, size },
    })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('GET of an empty blob with Range answers 416', async () => {
    const empty = await server.bench.putBlob(Buffer.alloc(0))
    const answer = await server.get(`/v2/hello/blobs/${empty}`, { Range: 'bytes=0-' })
    expect(answer.status).toBe(416)
    expect(answer.headers['content-range']).toBe('bytes */0')
  })
})

describe('an invalid or unsupported range', () => {
  test.each([
    ['a range that ends before it begins', { Range: 'bytes=5-2' }],
    ['several ranges', { Range: 'bytes=0-9,20-29' }],
    ['another unit', { Range: 'items=0-9' }],
    ['no unit', { Range: '0-9' }],
    ['an empty range', { Range: 'bytes=' }],
    ['only a dash', { Range: 'bytes=-' }],
    ['letters', { Range: 'bytes=a-b' }],
    ['a negative number', { Range: 'bytes=--5' }],
    ['an If-Range of another blob', { Range: 'bytes=0-9', 'If-Range': '"other"' }],
    ['a weak If-Range', { Range: 'bytes=0-9', 'If-Range': `W/"${digest}"` }],
    [
      'an If-Range with a date',
      { Range: 'bytes=0-9', 'If-Range': 'Mon, 01 Jan 2024 00:00:00 GMT' },
    ],
  ])('GET blob with %s answers the whole blob', async (_, headers) => {
    const answer = await server.get(path, headers)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-range']).toBeUndefined()
    expect(answer.body.equals(bytes)).toBe(true)
  })
})

test('GET blob with If-Range of its ETag answers the range', async () => {
  const answer = await server.get(path, { Range: 'bytes=0-9', 'If-Range': `"${digest}"` })
  expect(answer.status).toBe(206)
  expect(answer.body.equals(bytes.subarray(0, 10))).toBe(true)
})

test('GET blob with If-None-Match and Range answers 304', async () => {
  const headers = { Range: 'bytes=0-9', 'If-None-Match': `"${digest}"` }
  expect((await server.get(path, headers)).status).toBe(304)
})

test.each(['bytes=0-9', 'bytes=9999999-'])('HEAD blob ignores Range: %s', async (Range) => {
  const answer = await server.head(path, { Range })
  expect(answer.status).toBe(200)
  expect(answer.headers['content-length']).toBe(String(size))
  expect(answer.headers['content-range']).toBeUndefined()
})

test('GET manifest ignores Range', async () => {
  const whole = await server.get('/v2/hello/manifests/v1')
  const answer = await server.get('/v2/hello/manifests/v1', { Range: 'bytes=0-9' })
  expect(answer.status).toBe(200)
  expect(answer.body.equals(whole.body)).toBe(true)
})
