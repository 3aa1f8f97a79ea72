import { afterEach, beforeEach, expect, test } from 'vitest'
import { contentHeaders } from '../../support/app-server.ts'
import { RegistryServer } from '../../support/registry-server.ts'

let server: RegistryServer
beforeEach(async () => {
  server = await RegistryServer.start()
})
afterEach(() => server[Symbol.asyncDispose]())

test('GET /healthz answers 200 even if the source is not ready', async () => {
  server.bench.source.currentStatus = { ready: false, failure: 'never fetched' }
  const answer = await server.get('/healthz')
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({ status: 'ok' })
})

test('GET /readyz of a ready source answers 200 with the time of its last refresh', async () => {
  const answer = await server.get('/readyz')
  expect(answer.status).toBe(200)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.json()).toEqual({
    status: 'ready',
    source: { ready: true, refreshedAt: '2024-01-01T00:00:00.000Z' },
    storage: { reachable: true },
  })
})

test('GET /readyz of a source that is not ready answers 503 with its failure', async () => {
  server.bench.source.currentStatus = { ready: false, failure: 'the remote does not answer' }
  const answer = await server.get('/readyz')
  expect(answer.status).toBe(503)
  expect(answer.headers['content-type']).toMatch(/^application\/json/)
  expect(answer.json()).toEqual({
    status: 'not ready',
    source: { ready: false, failure: 'the remote does not answer' },
    storage: { reachable: true },
  })
})

test('GET /readyz of a ready source whose last fetch failed answers 200 with the failure', async () => {
  server.bench.source.currentStatus = { ready: true, failure: 'the remote does not answer' }
  const answer = await server.get('/readyz')
  expect(answer.status).toBe(200)
  expect(answer.json()).toMatchObject({ source: { failure: 'the remote does not answer' } })
})

test.each(['/healthz', '/readyz'])(
  'HEAD %s answers the headers of GET without a body',
  async (path) => {
    for (const ready of [true, false]) {
      server.bench.source.currentStatus = { ready }
      const [get, head] = [await server.get(path), await server.head(path)]
      expect(head.status).toBe(get.status)
      expect(head.body.length).toBe(0)
      expect(contentHeaders(head)).toEqual(contentHeaders(get))
    }
  },
)

test.each(['/healthz', '/readyz'])('OPTIONS and POST %s answer as GET does', async (path) => {
  for (const method of ['OPTIONS', 'POST']) {
    expect((await server.send(method, path)).status).toBe(200)
  }
})
