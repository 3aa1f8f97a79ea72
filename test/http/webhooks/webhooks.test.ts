// Paths and methods of webhooks.
import { Agent, request } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { answerTo } from '../../support/app-server.ts'
import {
  expectFailure,
  genericHeaders,
  githubExample,
  githubHeaders,
  hmac,
  json,
  secret,
} from '../../support/webhook-deliveries.ts'
import { WebhookServer } from '../../support/webhook-server.ts'

let server: WebhookServer
beforeEach(async () => {
  server = await WebhookServer.start({ secret })
})
afterEach(async () => {
  expect(server.logged).not.toContain(secret)
  await server[Symbol.asyncDispose]()
})

test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
  '%s /webhooks/github answers 405 with Allow: POST',
  async (method) => {
    const outgoing = server.open('/webhooks/github', {}, method)
    outgoing.end()
    const answer = await answerTo(outgoing)
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe('POST')
  },
)

test.each(['bitbucket', 'constructor', 'github/', 'GitHub', ''])(
  'POST /webhooks/%s answers 404 with the paths of webhooks',
  async (name) => {
    const reason = await expectFailure(server, 404, `/webhooks/${name}`, '{}', genericHeaders('{}'))
    expect(reason).toMatch(/\/webhooks\/github, .*gitlab, .*gitea, .*generic$/)
  },
)

test('a delivery to another path is not received', async () => {
  expect((await server.post('/v2/webhooks/github', '', json)).status).toBe(405)
  expect((await server.post('/webhook/github', '', json)).status).toBe(404)
  expect(server.outcomes).toEqual([])
})

test.each([undefined, ''])(
  'a delivery to a service with the secret %j answers 404',
  async (none) => {
    await using off = await WebhookServer.start({ secret: none })
    for (const provider of ['github', 'gitlab', 'gitea', 'generic']) {
      const headers = {
        ...githubHeaders('push', '{}'),
        'X-Signature-256': `sha256=${hmac('{}', '')}`,
        'X-Gitlab-Token': '',
      }
      const answer = await off.post(`/webhooks/${provider}`, '{}', headers)
      expect(answer.status).toBe(404)
      expect(answer.body.toString()).toContain('SLIPWAY_WEBHOOK_SECRET')
    }
    expect(off.reconciles).toEqual([])
  },
)

test('1,000 deliveries are answered at once while no reconcile ends', async () => {
  let hanging = 0
  const request_ = () => {
    hanging += 1
    return new Promise(() => {})
  }
  await using busy = await WebhookServer.start({ secret, request: request_ })
  const body = JSON.stringify(githubExample('push'))
  const headers = githubHeaders('push', body)
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const times: number[] = []
  const deliver = async () => {
    const start = performance.now()
    const outgoing = request(`${busy.url}/webhooks/github`, { method: 'POST', headers, agent })
    outgoing.end(body)
    expect((await answerTo(outgoing)).status).toBe(202)
    times.push(performance.now() - start)
  }
  for (let i = 0; i < 125; i += 1) await Promise.all(Array.from({ length: 8 }, deliver))
  agent.destroy()
  expect(hanging).toBe(1000)
  times.sort((a, b) => a - b)
  // The limit is high because other work runs on the machine.
  expect(times[990]).toBeLessThan(1000)
})
