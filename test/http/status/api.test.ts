import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BuildEntry } from '../../../service/build/ports.ts'
import { api } from '../../../service/http/status/api.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { RefStateList } from '../../../service/prebuild/ports.ts'
import { buildEntryOf } from '../../support/build-entries.ts'
import { MiddlewareServer } from '../../support/middleware-server.ts'
import { RecordingLog } from '../../support/recording-log.ts'

const failed = buildEntryOf({ outcome: 'failed', failure: 'it broke', log: 'line 1\nline 2' })
const built = buildEntryOf()
const stored = buildEntryOf({ image: 'from-long-ago' })
const refList: RefStateList = {
  refs: [
    {
      ref: 'refs/tags/release-v2',
      tag: 'release-v2',
      commit: 'a'.repeat(40),
      inScope: true,
      images: [{ name: 'custom-service', state: 'stored' }],
    },
  ],
  total: 1,
}

let log: RecordingLog
let limits: number[]
let retries: number
let list: (limit: number) => Promise<RefStateList>
let get: (id: string) => Promise<BuildEntry | undefined>
let server: MiddlewareServer
beforeEach(async () => {
  log = new RecordingLog()
  limits = []
  retries = 0
  list = async (limit) => {
    limits.push(limit)
    return refList
  }
  get = async (id) => [failed, built, stored].find((entry) => entry.id === id)
  const middleware = api({
    builds: { recent: (limit) => [built, failed].slice(0, limit), get: (id) => get(id) },
    refs: { list: (limit) => list(limit) },
    retry: () => {
      retries += 1
    },
    log,
  })
  server = await MiddlewareServer.start(middleware)
})
afterEach(() => server[Symbol.asyncDispose]())

describe('GET /api/refs', () => {
  test('has the refs and how many there are', async () => {
    const answer = await server.get('/api/refs')
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.json()).toEqual(refList)
  })

  test('is bounded, also for those who ask for more', async () => {
    await server.get('/api/refs')
    await server.get('/api/refs?n=3')
    await server.get('/api/refs?n=99999999')
    expect(limits).toEqual([100, 3, 10_000])
  })

  test('is empty for a source without refs', async () => {
    const middleware = api({ builds: { recent: () => [], get }, retry: () => {}, log })
    await using bare = await MiddlewareServer.start(middleware)
    expect((await bare.get('/api/refs')).json()).toEqual({ refs: [], total: 0 })
  })

  test('is 503 when git is out of reach, 500 without a reason for a fault of the service', async () => {
    list = async () => {
      throw new Failure('unavailable', 'git does not answer')
    }
    const unavailable = await server.get('/api/refs')
    expect(unavailable.status).toBe(503)
    expect(unavailable.headers['retry-after']).toBe('10')
    expect(unavailable.json()).toEqual({ error: 'git does not answer' })
    list = async () => {
      throw new Error('secret of /root')
    }
    const fault = await server.get('/api/refs')
    expect(fault.status).toBe(500)
    expect(fault.json()).toEqual({ error: 'internal error: the log of the service tells more' })
    expect(log.at('warn', 'error').map(({ level }) => level)).toEqual(['warn', 'error'])
  })
})

describe('GET /api/builds', () => {
  test('has the newest first, without their logs', async () => {
    const { log: _, ...withoutLog } = failed
    expect((await server.get('/api/builds')).json()).toEqual({ builds: [built, withoutLog] })
    expect((await server.get('/api/builds?n=1')).json()).toEqual({ builds: [built] })
  })

  test.each(['x', '-1', '1.5', ''])('refuses n=%s', async (n) => {
    const answer = await server.get(`/api/builds?n=${n}`)
    expect(answer.status).toBe(400)
    expect(answer.json()).toEqual({ error: `n="${n}" is not a number of entries: 0 or more` })
  })
})

describe('GET /api/builds/<id>', () => {
  test('has all of one build', async () => {
    expect((await server.get(`/api/builds/${failed.id}`)).json()).toEqual(failed)
    expect((await server.get(`/api/builds/${stored.id}`)).json()).toEqual(stored)
  })

  test.each(['20260101T000000Z-ffffffff', 'x', '..%2f..%2fetc'])('is 404 for %s', async (id) => {
    const answer = await server.get(`/api/builds/${id}`)
    expect(answer.status).toBe(404)
    expect(answer.json()).toEqual({ error: `there is no /api/builds/${id}` })
  })

  test('is 503 when the storage is out of reach', async () => {
    get = async () => {
      throw new Failure('unavailable', 'no storage')
    }
    expect((await server.get(`/api/builds/${failed.id}`)).status).toBe(503)
  })
})

describe('POST /api/retry', () => {
  test('is accepted, and asks for another attempt', async () => {
    const answer = await server.send('POST', '/api/retry')
    expect(answer.status).toBe(202)
    expect(answer.json()).toEqual({ accepted: true })
    expect(retries).toBe(1)
  })

  test('is not for pages of other sites', async () => {
    const answer = await server.send('POST', '/api/retry', { 'Sec-Fetch-Site': 'cross-site' })
    expect(answer.status).toBe(403)
    expect(retries).toBe(0)
  })

  test('is 405 with GET', async () => {
    const answer = await server.get('/api/retry')
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
    expect(answer.json()).toEqual({ error: '/api/retry takes POST, not GET' })
    expect(retries).toBe(0)
  })
})

test('HEAD is GET without a body', async () => {
  const answer = await server.send('HEAD', '/api/builds')
  expect([answer.status, answer.body.length]).toEqual([200, 0])
})

test('other methods are 405, unknown paths 404 with those that there are', async () => {
  const put = await server.send('PUT', '/api/refs')
  expect([put.status, put.headers.allow]).toEqual([405, 'GET, HEAD'])
  const unknown = await server.get('/api/nothing')
  expect(unknown.status).toBe(404)
  expect(unknown.json()).toEqual({
    error:
      'there is no /api/nothing; there is /api/refs, /api/builds, /api/builds/<id>, POST /api/retry',
  })
})

test('what is not below /api/ is left to others', async () => {
  expect((await server.get('/apiary')).body.toString()).toBe('Not Found')
})
