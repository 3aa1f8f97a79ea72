import { expect, test } from 'vitest'
import { PrometheusMetrics } from '../../../service/adapters/telemetry/prometheus.ts'
import { AppServer } from '../../support/app-server.ts'

test('GET /metrics answers the text of Prometheus with its own content type', async () => {
  const metrics = new PrometheusMetrics()
  metrics.layerTaken('packed')
  await using server = await AppServer.start({ ops: { metrics } })
  const answer = await server.get('/metrics')
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe(metrics.contentType)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.body.toString()).toContain('\nslipway_layers_total{outcome="packed"} 1\n')
})

test('HEAD /metrics answers the headers without a body', async () => {
  const metrics = { contentType: 'text/plain', text: async () => 'up 1\n' }
  await using server = await AppServer.start({ ops: { metrics } })
  const head = await server.head('/metrics')
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0])
})

test('POST /metrics answers 405 with Allow', async () => {
  await using server = await AppServer.start()
  const post = await server.send('POST', '/metrics')
  expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
  expect(post.json()).toEqual({ error: '/metrics accepts GET, HEAD, not POST' })
})

test('GET /metrics/x answers 404', async () => {
  await using server = await AppServer.start()
  expect((await server.get('/metrics/x')).status).toBe(404)
})
