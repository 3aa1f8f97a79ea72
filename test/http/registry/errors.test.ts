// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Failure, type FailureKind, type FailureOptions } from '../../../service/image/errors.ts'
import { contentHeaders, RegistryServer, registryError } from '../../support/registry-server.ts'

/** What the use case throws. */
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

/** By kind: the rows of the table in the design. The type keeps it complete. */
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
  'evaluation-failed': [422, 'UNKNOWN'],
  'build-failed': [422, 'UNKNOWN'],
  'build-timed-out': [422, 'UNKNOWN'],
  'still-building': [429, 'TOOMANYREQUESTS'],
  overloaded: [429, 'TOOMANYREQUESTS'],
  unavailable: [503, 'UNAVAILABLE'],
}

describe.each(Object.entries(table))('%s', (kind, [status, code]) => {
  test(`is answered ${status} ${code}, with the message and the detail`, async () => {
    const answer = await fail(kind as FailureKind, { detail: { packages: ['hello'] } })
    expect(answer.status).toBe(status)
    expect(registryError(answer)).toEqual({
      code,
      message: 'what was wrong, and what would be right',
      detail: { packages: ['hello'] },
    })
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })

  test('has the same headers on HEAD, and no body', async () => {
    const get = await fail(kind as FailureKind)
    const head = await server.head(path)
    expect(head.status).toBe(status)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test('is logged once', async () => {
    await fail(kind as FailureKind)
    expect(server.log.at('info', 'warn', 'error')).toMatchObject([
      {
        level: status < 500 ? 'info' : 'warn',
        fields: { path, status, error: 'what was wrong, and what would be right' },
      },
    ])
  })

  test('is not kept by caches', async () => {
    expect((await fail(kind as FailureKind)).headers['cache-control']).toBe('no-store')
  })
})

test('a failure without a detail has null there', async () => {
  expect(registryError(await fail('manifest-unknown')).detail).toBeNull()
})

test('a message of several lines and other scripts survives', async () => {
  thrown = new Failure('build-failed', 'hello:\n  "größe" → ✗\u2028\t\\')
  expect(registryError(await server.get(path)).message).toBe('hello:\n  "größe" → ✗\u2028\t\\')
})

describe('Retry-After', () => {
  test.each<FailureKind>(['still-building', 'overloaded', 'unavailable'])(
    'stands with %s: the seconds of the failure, or some',
    async (kind) => {
      expect((await fail(kind, { retryAfter: 7 })).headers['retry-after']).toBe('7')
      expect((await fail(kind)).headers['retry-after']).toMatch(/^[1-9]\d*$/)
    },
  )

  test('stands with nothing that will not get better', async () => {
    expect((await fail('build-failed')).headers['retry-after']).toBeUndefined()
  })
})

describe('a fault of the service', () => {
  test.each([
    ['an Error', new TypeError('password hunter2 at /srv/secret')],
    ['something that is no Error', 'password hunter2'],
    ['nothing', undefined],
  ])('%s is answered 500, tells nothing of it, and is logged once', async (_, fault) => {
    thrown = fault
    const answer = await server.get(path)
    expect(answer.status).toBe(500)
    expect(registryError(answer)).toMatchObject({ code: 'UNKNOWN', detail: null })
    expect(String(answer.body)).not.toMatch(/hunter2|secret|TypeError/)
    expect(JSON.stringify(answer.headers)).not.toMatch(/hunter2|secret/)
    expect(server.log.at('info', 'warn', 'error')).toMatchObject([
      { level: 'error', fields: { err: fault, status: 500 } },
    ])
  })

  test('does not stop the next request', async () => {
    thrown = new Error('a bug')
    await server.get(path)
    expect((await server.get('/v2/')).status).toBe(200)
  })
})

test('a storage that does not answer a blob is said to be out of reach, in nobody’s cache', async () => {
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
