import { afterAll, beforeAll, expect, test } from 'vitest'
import { starting } from '../../service/http/starting.ts'
import { AppServer } from '../support/app-server.ts'
import { registryError } from '../support/registry-server.ts'

let server: AppServer
beforeAll(async () => {
  server = await AppServer.listen(starting)
})
afterAll(() => server[Symbol.asyncDispose]())

test('GET /healthz of a starting service answers 200', async () => {
  const answer = await server.get('/healthz')
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({ status: 'ok' })
  expect(answer.headers['retry-after']).toBeUndefined()
})

test('GET /readyz of a starting service answers 503', async () => {
  const answer = await server.get('/readyz?verbose')
  expect(answer.status).toBe(503)
  expect(answer.json()).toEqual({ status: 'starting' })
  expect(answer.headers['retry-after']).toBe('5')
})

test('a pull from a starting service answers 503 UNAVAILABLE with Retry-After', async () => {
  const answer = await server.get('/v2/hello/manifests/v1?ns=docker.io')
  expect(answer.status).toBe(503)
  expect(registryError(answer)).toEqual({
    code: 'UNAVAILABLE',
    message: 'Slipway is starting: try again in a few seconds',
    detail: null,
  })
  expect(answer.headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' })
  const head = await server.head('/v2/hello/manifests/v1')
  expect([head.status, head.body.length]).toEqual([503, 0])
})

test('every other request to a starting service answers 503', async () => {
  const message = 'Slipway is starting: try again in a few seconds'
  const webhook = await server.send('POST', '/webhooks/github')
  expect([webhook.status, webhook.json()]).toEqual([503, { accepted: false, reason: message }])
  const page = await server.get('/')
  expect([page.status, page.json()]).toEqual([503, { error: message }])
})
