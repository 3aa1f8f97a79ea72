// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentHeaders } from '../../support/app-server.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'

let server: RegistryServer
beforeAll(async () => {
  server = await RegistryServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const path = `/v2/hello/referrers/sha256:${'a'.repeat(64)}`

test('GET referrers answers an empty index, also for an unknown manifest', async () => {
  const answer = await server.get(path)
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe('application/vnd.oci.image.index.v1+json')
  expect(answer.headers['content-length']).toBe(String(answer.body.length))
  expect(answer.json()).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
  })
  expect(answer.headers['oci-filters-applied']).toBeUndefined()
})

test('HEAD referrers answers the headers of GET without a body', async () => {
  const [get, head] = [await server.get(path), await server.head(path)]
  expect(head.status).toBe(200)
  expect(head.body.length).toBe(0)
  expect(contentHeaders(head)).toEqual(contentHeaders(get))
})

test('GET referrers with artifactType answers that the filter was applied', async () => {
  const answer = await server.get(`${path}?artifactType=application/spdx`)
  expect(answer.status).toBe(200)
  expect(answer.headers['oci-filters-applied']).toBe('artifactType')
  expect(answer.json()).toMatchObject({ manifests: [] })
})

test.each(['sha256:abc', 'latest', `sha256:${'G'.repeat(64)}`])(
  'GET referrers of the invalid digest %s answers 400 DIGEST_INVALID',
  async (digest) => {
    const answer = await server.get(`/v2/hello/referrers/${digest}`)
    expect(answer.status).toBe(400)
    expect(registryError(answer).code).toBe('DIGEST_INVALID')
  },
)

test('GET referrers under an invalid name answers 400 NAME_INVALID', async () => {
  const answer = await server.get(`/v2/Hello/referrers/sha256:${'a'.repeat(64)}`)
  expect(answer.status).toBe(400)
  expect(registryError(answer).code).toBe('NAME_INVALID')
})
