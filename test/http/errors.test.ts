// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
import { createHmac } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { errorAnswer } from '../../service/http/errors.ts'
import { Failure, type FailureKind, type FailureOptions } from '../../service/image/errors.ts'
import { AppServer, contentHeaders } from '../support/app-server.ts'
import { RegistryServer, registryError } from '../support/registry-server.ts'
import { WebhookServer } from '../support/webhook-server.ts'

/** Thrown by each pull by tag. */
let thrown: unknown
let server: RegistryServer

beforeAll(async () => {
  const byTag = async () => {
    throw thrown
  }
  server = await RegistryServer.start({ services: { pull: { byTag } as never } })
})
afterAll(() => server[Symbol.asyncDispose]())
afterEach(() => {
  server.log.lines.length = 0
})

const path = '/v2/hello/manifests/v1'

function fail(kind: FailureKind, options?: FailureOptions) {
  thrown = new Failure(kind, 'what was wrong, and what would be right', options)
  return server.get(path)
}

/** Answers by kind of failure. The type makes the table complete. */
const table: Record<FailureKind, [status: number, code: string]> = {
  'name-invalid': [400, 'NAME_INVALID'],
  'tag-invalid': [404, 'MANIFEST_UNKNOWN'],
  'digest-invalid': [400, 'DIGEST_INVALID'],
  'paging-invalid': [400, 'PAGINATION_NUMBER_INVALID'],
  'manifest-unknown': [404, 'MANIFEST_UNKNOWN'],
  'blob-unknown': [404, 'BLOB_UNKNOWN'],
  'range-invalid': [416, 'RANGE_INVALID'],
  'route-unknown': [404, 'UNSUPPORTED'],
  'not-acceptable': [404, 'MANIFEST_UNKNOWN'],
  unsupported: [405, 'UNSUPPORTED'],
  denied: [403, 'DENIED'],
  unauthorized: [401, 'UNAUTHORIZED'],
  malformed: [400, 'UNKNOWN'],
  'broken-off': [400, 'UNKNOWN'],
  'timed-out': [408, 'UNKNOWN'],
  'too-large': [413, 'UNKNOWN'],
  'unsupported-type': [415, 'UNSUPPORTED'],
  'evaluation-failed': [422, 'UNKNOWN'],
  'build-failed': [422, 'UNKNOWN'],
  'build-timed-out': [422, 'UNKNOWN'],
  'still-building': [429, 'TOOMANYREQUESTS'],
  overloaded: [429, 'TOOMANYREQUESTS'],
  unavailable: [503, 'UNAVAILABLE'],
}

describe.each(Object.entries(table))('%s', (kind, [status, code]) => {
  test(`${kind} answers ${status} ${code} with message and detail`, async () => {
    const answer = await fail(kind as FailureKind, { detail: { packages: ['hello'] } })
    expect(answer.status).toBe(status)
    expect(registryError(answer)).toEqual({
      code,
      message: 'what was wrong, and what would be right',
      detail: { packages: ['hello'] },
    })
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })

  test(`${kind} answers HEAD with the headers of GET and no body`, async () => {
    const get = await fail(kind as FailureKind)
    const head = await server.head(path)
    expect(head.status).toBe(status)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test(`${kind} is logged once`, async () => {
    await fail(kind as FailureKind)
    expect(server.log.at('info', 'warn', 'error')).toMatchObject([
      {
        level: status < 500 ? 'info' : 'warn',
        fields: { path, status, kind, failure: 'what was wrong, and what would be right' },
      },
    ])
  })

  test(`${kind} is not cacheable`, async () => {
    expect((await fail(kind as FailureKind)).headers['cache-control']).toBe('no-store')
  })
})

describe.each(Object.keys(table) as FailureKind[])('%s', (kind) => {
  test.each([
    ['/v2/hello/manifests/v1', { errors: [{ code: table[kind][1], message: 'no', detail: null }] }],
    ['/webhooks/github', { accepted: false, reason: 'no' }],
    ['/api/refs', { error: 'no' }],
    ['/', { error: 'no' }],
    ['/readyz', { error: 'no' }],
  ])(`${kind} under %s answers in the dialect of that API`, (path, body) => {
    const answer = errorAnswer(new Failure(kind, 'no'), path)
    expect(answer.status).toBe(table[kind][0])
    expect(JSON.parse(answer.body.toString())).toEqual(body)
  })
})

test('a failure without a detail answers the detail null', async () => {
  expect(registryError(await fail('manifest-unknown')).detail).toBeNull()
})

test('a message of several lines and with other scripts is sent unchanged', async () => {
  thrown = new Failure('build-failed', 'hello:\n  "größe" → ✗\u2028\t\\')
  expect(registryError(await server.get(path)).message).toBe('hello:\n  "größe" → ✗\u2028\t\\')
})

test.each<FailureKind>(['still-building', 'overloaded', 'unavailable'])(
  '%s answers Retry-After with the seconds of the failure, or with some seconds',
  async (kind) => {
    expect((await fail(kind, { retryAfter: 7 })).headers['retry-after']).toBe('7')
    expect((await fail(kind)).headers['retry-after']).toMatch(/^[1-9]\d*$/)
  },
)

test('build-failed answers no Retry-After', async () => {
  expect((await fail('build-failed')).headers['retry-after']).toBeUndefined()
})

test.each([
  ['an Error', new TypeError('password hunter2 at /srv/secret')],
  ['a text', 'password hunter2'],
  ['undefined', undefined],
])('a bug that throws %s answers 500 without its message, and is logged once', async (_, bug) => {
  thrown = bug
  const answer = await server.get(path)
  expect(answer.status).toBe(500)
  expect(registryError(answer)).toMatchObject({ code: 'UNKNOWN', detail: null })
  expect(String(answer.body)).not.toMatch(/hunter2|secret|TypeError/)
  expect(JSON.stringify(answer.headers)).not.toMatch(/hunter2|secret/)
  expect(server.log.at('info', 'warn', 'error')).toMatchObject([
    { level: 'error', fields: { err: bug, status: 500 } },
  ])
})

test('after a bug, the next request is answered', async () => {
  thrown = new Error('a bug')
  await server.get(path)
  expect((await server.get('/v2/')).status).toBe(200)
})

test('a failure outside /v2 and /webhooks/ answers {"error"} with the same status', async () => {
  const list = async () => {
    throw new Failure('still-building', 'wait', { retryAfter: 7 })
  }
  await using app = await AppServer.start({ status: { refs: { list } } })
  const answer = await app.get('/api/refs')
  expect(answer.status).toBe(429)
  expect(answer.json()).toEqual({ error: 'wait' })
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json',
    'retry-after': '7',
    'cache-control': 'no-store',
  })
})

test('a failure under /webhooks/ answers {"accepted", "reason"} with the same status', async () => {
  const request = () => {
    throw new Failure('unavailable', 'try again')
  }
  await using webhooks = await WebhookServer.start({ secret: 'x', request })
  const signature = `sha256=${createHmac('sha256', 'x').update('').digest('hex')}`
  const answer = await webhooks.post('/webhooks/generic', '', { 'X-Signature-256': signature })
  expect(answer.status).toBe(503)
  expect(answer.json()).toEqual({ accepted: false, reason: 'try again' })
  expect(answer.headers['retry-after']).toBe('10')
})

test('GET blob from a storage out of reach answers 503, not cacheable and without an ETag', async () => {
  await using broken = await RegistryServer.start()
  const digest = await broken.bench.putBlob(Buffer.from('blob'))
  broken.bench.store.before = (operation) => {
    if (operation === 'get') throw new Failure('unavailable', 'no answer', { retryAfter: 3 })
  }
  const answer = await broken.get(`/v2/hello/blobs/${digest}`)
  expect(answer.status).toBe(503)
  expect(registryError(answer).code).toBe('UNAVAILABLE')
  expect(answer.headers).toMatchObject({ 'retry-after': '3', 'cache-control': 'no-store' })
  for (const header of ['etag', 'docker-content-digest', 'accept-ranges']) {
    expect(answer.headers[header]).toBeUndefined()
  }
})

test.each([
  ['/no-such-page', 'debug'],
  ['/v2/no/such/path', 'info'],
] as const)('GET %s, which has no route, is logged at %s', async (unknown, level) => {
  expect((await server.get(unknown)).status).toBe(404)
  const failed = server.log.lines.filter(({ message }) => message === 'request failed')
  expect(failed).toMatchObject([{ level, fields: { path: unknown, kind: 'route-unknown' } }])
})
