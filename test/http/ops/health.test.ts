import { afterEach, beforeEach, expect, test } from 'vitest'
import { contentHeaders, RegistryServer } from '../../support/registry-server.ts'

let server: RegistryServer
beforeEach(async () => {
  server = await RegistryServer.start()
})
afterEach(() => server[Symbol.asyncDispose]())

test('/healthz is 200 as long as the process answers', async () => {
  server.bench.source.currentStatus = { ready: false, failure: 'never fetched' }
  const answer = await server.get('/healthz')
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({ status: 'ok' })
})

test('/readyz is 200 when tags can be resolved, and says how fresh they are', async () => {
  const answer = await server.get('/readyz')
  expect(answer.status).toBe(200)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.json()).toEqual({
    status: 'ready',
    source: { ready: true, refreshedAt: '2024-01-01T00:00:00.000Z' },
    storage: { reachable: true },
  })
})

test('/readyz is 503 when they cannot, with the reason', async () => {
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

test('a source that is served although the last fetch failed is ready, and says what failed', async () => {
  server.bench.source.currentStatus = { ready: true, failure: 'the remote does not answer' }
  const answer = await server.get('/readyz')
  expect(answer.status).toBe(200)
  expect(answer.json()).toMatchObject({ source: { failure: 'the remote does not answer' } })
})

test.each(['/healthz', '/readyz'])('%s has the same headers on HEAD, and no body', async (path) => {
  for (const ready of [true, false]) {
    server.bench.source.currentStatus = { ready }
    const [get, head] = [await server.get(path), await server.head(path)]
    expect(head.status).toBe(get.status)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  }
})
