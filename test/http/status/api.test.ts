import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BuildEntry } from '../../../service/build/ports.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { RefStateList } from '../../../service/prebuild/ports.ts'
import { AppServer } from '../../support/app-server.ts'
import { buildEntryOf } from '../../support/build-entries.ts'
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
let server: AppServer
beforeEach(async () => {
  log = new RecordingLog()
  limits = []
  retries = 0
  list = async (limit) => {
    limits.push(limit)
    return refList
  }
  get = async (id) => [failed, built, stored].find((entry) => entry.id === id)
  server = await AppServer.start({
    status: {
      builds: { recent: (limit) => [built, failed].slice(0, limit), get: (id) => get(id) },
      refs: { list: (limit) => list(limit) },
      retry: () => {
        retries += 1
      },
    },
    log,
  })
})
afterEach(() => server[Symbol.asyncDispose]())

test('GET /api/refs answers the refs and their number', async () => {
  const answer = await server.get('/api/refs')
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.json()).toEqual(refList)
})

test('GET /api/refs lists n refs, 100 without n, and at most 10,000', async () => {
  await server.get('/api/refs')
  await server.get('/api/refs?n=3')
  await server.get('/api/refs?n=99999999')
  await server.get('/api/refs?n=99999999999999999999')
  expect(limits).toEqual([100, 3, 10_000, 10_000])
})

test('GET /api/refs of a source without refs answers an empty list', async () => {
  await using bare = await AppServer.start()
  expect((await bare.get('/api/refs')).json()).toEqual({ refs: [], total: 0 })
})

test('GET /api/refs answers 503 when git is out of reach', async () => {
  list = async () => {
    throw new Failure('unavailable', 'git does not answer')
  }
  const answer = await server.get('/api/refs')
  expect(answer.status).toBe(503)
  expect(answer.headers['retry-after']).toBe('10')
  expect(answer.json()).toEqual({ error: 'git does not answer' })
  expect(log.at('info', 'warn', 'error').map(({ level }) => level)).toEqual(['warn'])
})

test('GET /api/refs answers 500 without the message of a bug', async () => {
  list = async () => {
    throw new Error('secret of /root')
  }
  const answer = await server.get('/api/refs')
  expect(answer.status).toBe(500)
  expect(answer.json()).toEqual({ error: 'internal error: see the log of the service' })
  expect(log.at('info', 'warn', 'error').map(({ level }) => level)).toEqual(['error'])
})

test('GET /api/builds lists the newest builds first, without their logs', async () => {
  const { log: _, ...withoutLog } = failed
  expect((await server.get('/api/builds')).json()).toEqual({ builds: [built, withoutLog] })
  expect((await server.get('/api/builds?n=1')).json()).toEqual({ builds: [built] })
})

test.each(['x', '-1', '1.5', ''])('GET /api/builds?n=%s answers 400 with the value', async (n) => {
  const answer = await server.get(`/api/builds?n=${n}`)
  expect(answer.status).toBe(400)
  expect(answer.json()).toEqual({ error: `n="${n}" is not a number of entries: 0 or more` })
})

test('HEAD /api/builds answers 200 without a body', async () => {
  const answer = await server.send('HEAD', '/api/builds')
  expect([answer.status, answer.body.length]).toEqual([200, 0])
})

test('GET /api/builds/<id> answers one build with its log', async () => {
  expect((await server.get(`/api/builds/${failed.id}`)).json()).toEqual(failed)
  expect((await server.get(`/api/builds/${stored.id}`)).json()).toEqual(stored)
})

test.each(['20260101T000000Z-ffffffff', 'x', '..%2f..%2fetc'])(
  'GET /api/builds/%s of an unknown build answers 404',
  async (id) => {
    const answer = await server.get(`/api/builds/${id}`)
    expect(answer.status).toBe(404)
    expect(answer.json()).toEqual({ error: `there is no /api/builds/${id}` })
  },
)

test('GET /api/builds/<id> answers 503 when the storage is out of reach', async () => {
  get = async () => {
    throw new Failure('unavailable', 'no storage')
  }
  expect((await server.get(`/api/builds/${failed.id}`)).status).toBe(503)
})

test('POST /api/retry answers 202 and retries what failed', async () => {
  const answer = await server.send('POST', '/api/retry')
  expect(answer.status).toBe(202)
  expect(answer.json()).toEqual({ accepted: true })
  expect(retries).toBe(1)
})

test('POST /api/retry from a page of another site answers 403', async () => {
  const answer = await server.send('POST', '/api/retry', { 'Sec-Fetch-Site': 'cross-site' })
  expect(answer.status).toBe(403)
  expect(answer.json()).toEqual({ error: 'a page of another site may not request this' })
  expect(retries).toBe(0)
})

test('GET /api/retry answers 405 with Allow: POST', async () => {
  const answer = await server.get('/api/retry')
  expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  expect(answer.json()).toEqual({ error: '/api/retry accepts POST, not GET' })
  expect(retries).toBe(0)
})

test('an unknown path under /api/ answers 404 with the paths of the API', async () => {
  const unknown = await server.get('/api/nothing')
  expect(unknown.status).toBe(404)
  expect(unknown.json()).toEqual({
    error:
      'there is no /api/nothing; there is /api/refs, /api/builds, /api/builds/<id>, POST /api/retry',
  })
})

test('an unknown path outside /api/ answers 404 without the paths of the API', async () => {
  const answer = await server.get('/apiary')
  expect(answer.status).toBe(404)
  expect(answer.json()).toEqual({ error: 'there is no /apiary' })
})
