// The registry takes no pushes.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#content-management
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RegistryServer, registryError } from '../../support/registry-server.ts'

const digest = `sha256:${'a'.repeat(64)}`
const paths = [
  '/v2/hello/manifests/v1',
  `/v2/hello/manifests/${digest}`,
  `/v2/hello/blobs/${digest}`,
  '/v2/hello/blobs/uploads/',
  `/v2/hello/blobs/uploads/?digest=${digest}`,
  `/v2/hello/blobs/uploads/?mount=${digest}&from=git`,
  '/v2/hello/blobs/uploads/0123',
  '/v2/hello/tags/list',
  '/v2/_catalog',
  '/v2/',
  '/v2',
]

let server: RegistryServer
beforeAll(async () => {
  server = await RegistryServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('%s', (method) => {
  test.each(paths)(`${method} %s answers 405 UNSUPPORTED with Allow`, async (path) => {
    const answer = await server.send(method, path)
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe('GET, HEAD')
    expect(registryError(answer)).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(new RegExp(`^${method} is not supported`)),
    })
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })
})

test('after a push with a body is answered 405, its connection can be used again', async () => {
  for (let count = 0; count < 3; count++) {
    const answer = await fetch(`${server.url}/v2/hello/blobs/uploads/`, {
      method: 'POST',
      body: Buffer.alloc(300_000),
    })
    expect(answer.status).toBe(405)
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] })
  }
  expect((await fetch(`${server.url}/v2/`)).status).toBe(200)
})

test('PUT builds and stores nothing', async () => {
  server.bench.journal.length = 0
  for (const path of paths) await server.send('PUT', path)
  expect(server.bench.journal).toEqual([])
})
