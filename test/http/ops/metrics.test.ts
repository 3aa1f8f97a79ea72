import { expect, test } from 'vitest'
import { PrometheusMetrics } from '../../../service/adapters/telemetry/prometheus.ts'
import { metrics } from '../../../service/http/ops/metrics.ts'
import { MiddlewareServer } from '../../support/middleware-server.ts'

test('/metrics has the text with the type that belongs to it', async () => {
  const source = new PrometheusMetrics()
  source.layerTaken('packed')
  await using server = await MiddlewareServer.start(metrics(source))
  const answer = await server.get('/metrics')
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe(source.contentType)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.body.toString()).toContain('\nslipway_layers_total{outcome="packed"} 1\n')
})

test('HEAD has no body, other methods are refused, other paths left to others', async () => {
  const source = { contentType: 'text/plain', text: async () => 'up 1\n' }
  await using server = await MiddlewareServer.start(metrics(source))
  const head = await server.send('HEAD', '/metrics')
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0])
  const post = await server.send('POST', '/metrics')
  expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
  expect((await server.get('/metrics/x')).status).toBe(404)
})
