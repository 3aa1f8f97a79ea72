// A registry that takes no pushes says so.
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

describe.each(['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])('%s', (method) => {
  test.each(paths)('%s is refused, and told what would be right', async (path) => {
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

test('a push with a body is refused, and the connection goes on', async () => {
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

test('nothing is built or stored by a refused write', async () => {
  server.bench.journal.length = 0
  for (const path of paths) await server.send('PUT', path)
  expect(server.bench.journal).toEqual([])
})
