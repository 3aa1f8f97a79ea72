// Bodies of deliveries: types, sizes, and slow or broken connections.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { answerTo } from '../../support/app-server.ts'
import {
  expectAccepted,
  expectFailure,
  genericHeaders,
  giteaHeaders,
  githubHeaders,
  gitlabHeaders,
  json,
  secret,
} from '../../support/webhook-deliveries.ts'
import { WebhookServer } from '../../support/webhook-server.ts'

/** Most bytes of a body. */
const limit = 5 * 1024 * 1024

let server: WebhookServer
beforeEach(async () => {
  server = await WebhookServer.start({ secret })
})
afterEach(async () => {
  expect(server.logged).not.toContain(secret)
  await server[Symbol.asyncDispose]()
})

test.each(['{', '', 'null', '[]', '"push"', '{"ref": 1}', '{"ref": "x", "repository": {}}'])(
  'the signed body %j answers 400',
  async (body) => {
    const gitlab = gitlabHeaders('Push Hook')
    expect(await expectFailure(server, 400, '/webhooks/gitlab', body, gitlab)).toMatch(
      /^the payload (is no valid JSON|does not fit)/,
    )
    if (body === '') return
    await expectFailure(server, 400, '/webhooks/github', body, githubHeaders('push', body))
    await expectFailure(server, 400, '/webhooks/gitea', body, giteaHeaders('create', body))
    expect(server.outcomes).toEqual(['gitlab malformed', 'github malformed', 'gitea malformed'])
  },
)

test('a payload without a field answers 400 with the name of the field', async () => {
  const body = '{"ref": "refs/tags/v1", "repository": {"clone_url": 5}}'
  const reason = await expectFailure(
    server,
    400,
    '/webhooks/github',
    body,
    githubHeaders('push', body),
  )
  expect(reason).toContain('repository.clone_url: ')
  expect(reason).toContain('repository.ssh_url: ')
})

test.each(['text/plain', 'multipart/form-data; boundary=x', 'application/xml', 'nonsense'])(
  'a body of type %s answers 415',
  async (type) => {
    const headers = { ...genericHeaders('{}'), 'Content-Type': type }
    const reason = await expectFailure(server, 415, '/webhooks/generic', '{}', headers)
    expect(reason).toContain('Content-Type: application/json')
  },
)

test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/ld+json'])(
  'a body of type %s is read',
  async (type) => {
    await expectAccepted(server, '/webhooks/generic', '{}', {
      ...genericHeaders('{}'),
      'Content-Type': type,
    })
  },
)

test.each(['gzip', 'br', 'deflate, gzip'])(
  'a body with Content-Encoding: %s answers 415',
  async (encoding) => {
    const body = gzipSync('{}')
    const headers = { ...genericHeaders(body), 'Content-Encoding': encoding }
    expect(await expectFailure(server, 415, '/webhooks/generic', body, headers)).toContain(
      `"${encoding}"`,
    )
  },
)

test('a body in chunks of one byte is read', async () => {
  const body = Buffer.from('{"ref": "refs/tags/größe-鍵"}')
  const outgoing = server.open('/webhooks/generic', {
    ...genericHeaders(body),
    'Transfer-Encoding': 'chunked',
  })
  for (const byte of body) {
    outgoing.write(Buffer.of(byte))
    await sleep(1)
  }
  outgoing.end()
  expect((await answerTo(outgoing)).json()).toEqual({ accepted: true })
  expect(server.reconciles[0]?.refs).toEqual(['refs/tags/größe-鍵'])
})

test('a body of 5 MiB is read', async () => {
  const body = `{"pad": "${'x'.repeat(limit - 11)}"}`
  expect(Buffer.byteLength(body)).toBe(limit)
  await expectAccepted(server, '/webhooks/generic', body, genericHeaders(body))
})

test('a body of 5 MiB and one byte answers 413', async () => {
  const body = Buffer.alloc(limit + 1, ' ')
  const reason = await expectFailure(server, 413, '/webhooks/generic', body, genericHeaders(body))
  expect(reason).toContain(`${limit} bytes`)
})

test('a Content-Length of 100 MiB answers 413 before the body is sent', async () => {
  const outgoing = server.open('/webhooks/generic', {
    ...genericHeaders(''),
    'Content-Length': String(20 * limit),
  })
  outgoing.flushHeaders()
  const start = performance.now()
  const answer = await answerTo(outgoing)
  expect(performance.now() - start).toBeLessThan(1000)
  expect(answer.status).toBe(413)
  expect(answer.headers.connection).toBe('close')
})

test.each(['close', 'keep-alive'])(
  'a sender that writes 20 MiB before it reads gets the answer 413 (Connection: %s)',
  async (connection) => {
    const size = 4 * limit
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const head = [
      'POST /webhooks/generic HTTP/1.1',
      'Host: x',
      `Connection: ${connection}`,
      `Content-Length: ${size}`,
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    for (let i = 0; i < 16; i += 1) {
      // If the connection were cut, this would fail.
      await new Promise<void>((resolve, reject) => {
        socket.write(Buffer.alloc(size / 16), (error) => (error ? reject(error) : resolve()))
      })
      await sleep(5)
    }
    const [first] = await once(socket, 'data')
    expect(String(first)).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  },
)

test('the connection of a body that is too large and stops is closed', async () => {
  const headers = { ...json, 'Content-Length': String(limit + 1) }
  const outgoing = server.open('/webhooks/generic', headers)
  const closed = new Promise((resolve) => outgoing.on('close', resolve))
  outgoing.write(' ')
  expect((await answerTo(outgoing)).status).toBe(413)
  await closed
})

test('an endless body answers 413, and is not read on', async () => {
  const outgoing = server.open('/webhooks/generic', {
    ...json,
    'Transfer-Encoding': 'chunked',
  })
  const block = Buffer.alloc(64 * 1024, ' ')
  let sent = 0
  const closed = new Promise((resolve) => outgoing.on('close', resolve))
  const pump = () => {
    let room = true
    while (room && !outgoing.destroyed) {
      sent += block.length
      room = outgoing.write(block)
    }
  }
  outgoing.on('drain', pump)
  pump()
  expect((await answerTo(outgoing)).status).toBe(413)
  await closed
  // The rest was in the buffers of both sides.
  expect(sent).toBeLessThan(10 * limit)
  expect(server.outcomes).toEqual(['generic too-large'])
})

test('a body that does not arrive in time answers 408', async () => {
  await using other = await WebhookServer.start({ secret, bodyTimeout: 100 })
  const outgoing = other.open('/webhooks/generic', {
    ...genericHeaders(''),
    'Content-Length': '100',
  })
  outgoing.flushHeaders()
  const dripping = setInterval(() => outgoing.write(' '), 10)
  const start = performance.now()
  const answer = await answerTo(outgoing)
  clearInterval(dripping)
  expect(performance.now() - start).toBeLessThan(2000)
  expect(answer.status).toBe(408)
  expect(answer.headers.connection).toBe('close')
  expect(other.outcomes).toEqual(['generic timed-out'])
})

test('a body that breaks off requests nothing', async () => {
  const outgoing = server.open('/webhooks/generic', {
    ...genericHeaders(''),
    'Content-Length': '100',
  })
  outgoing.write('{')
  await sleep(50)
  outgoing.destroy()
  await expect.poll(() => server.outcomes).toEqual(['generic broken-off'])
  expect(server.reconciles).toEqual([])
})
