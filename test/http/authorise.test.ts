// No route answers a request that access control denies.
import { expect, test } from 'vitest'
import type { AccessRequest, Authorise } from '../../service/http/authorise.ts'
import { routes } from '../../service/http/routes.ts'
import { Failure } from '../../service/image/errors.ts'
import { AppServer, emptyServices } from '../support/app-server.ts'
import { RegistryServer, registryError } from '../support/registry-server.ts'
import { silentLog } from '../support/silent-log.ts'

const digest = `sha256:${'a'.repeat(64)}`

/** Every row of the table, as `GET /v2/hello/tags/list`, with and without webhooks. */
const requests = [undefined, 'a secret'].flatMap((secret) => {
  const empty = emptyServices(silentLog)
  const webhooks = { ...empty.webhooks, ...(secret ? { secret } : {}) }
  return routes({ ...empty, webhooks }).map(({ method, path }) => ({
    secret,
    method: method === 'ANY' ? 'GET' : method,
    path: path
      .replace('<name>', 'hello')
      .replace('<reference>', 'v1')
      .replace('<digest>', digest)
      .replace(/<\w+>/, 'something'),
  }))
})

const deny: Authorise = () => {
  throw new Failure('denied', 'not for you')
}
const denyLater: Authorise = async () => {
  await new Promise(setImmediate)
  throw new Failure('denied', 'not for you')
}

test.each(requests)(
  '$method $path with secret $secret answers 403 if access is denied',
  async ({ method, path, secret }) => {
    for (const authorise of [deny, denyLater]) {
      await using server = await AppServer.start({
        webhooks: secret ? { secret } : {},
        authorise,
      })
      const answer = await server.send(method, path)
      expect(answer.status).toBe(403)
      expect(answer.body.toString()).toContain('not for you')
    }
  },
)

test('a denied pull causes no work', async () => {
  await using server = await RegistryServer.start({ authorise: deny })
  for (const path of ['/v2/hello/manifests/v1', `/v2/hello/blobs/${digest}`, '/v2/_catalog']) {
    const answer = await server.get(path)
    expect(answer.status).toBe(403)
    expect(registryError(answer)).toEqual({ code: 'DENIED', message: 'not for you', detail: null })
  }
  expect(server.bench.journal).toEqual([])
})

test('a denied retry requests no reconcile', async () => {
  let retries = 0
  const retry = () => {
    retries += 1
  }
  await using server = await AppServer.start({ status: { retry }, authorise: deny })
  expect((await server.send('POST', '/api/retry')).status).toBe(403)
  expect(retries).toBe(0)
})

test('access control is given the method, the URL, the image, the address and the headers', async () => {
  const seen: AccessRequest[] = []
  await using server = await RegistryServer.start({
    authorise: (request) => {
      seen.push(request)
    },
  })
  const path = '/v2/hello/git/manifests/v1?ns=docker.io'
  // The second answer comes from the cache.
  for (let times = 0; times < 2; times++) await server.get(path, { Authorization: 'Basic eDp5' })
  expect(seen).toHaveLength(2)
  for (const request of seen) {
    expect(request).toMatchObject({
      method: 'GET',
      url: path,
      name: { text: 'hello/git', packages: ['git', 'hello'] },
      address: expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$/),
      headers: { authorization: 'Basic eDp5' },
    })
  }
})
