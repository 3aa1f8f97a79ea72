// GET manifest by tag answers the OCI manifest wherever the client accepts it.
// https://www.rfc-editor.org/rfc/rfc9110#name-accept
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mediaTypes } from '../../../service/image/descriptor.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'

const { ociManifest: oci, dockerManifest: docker, ociIndex } = mediaTypes
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
const schema1 = 'application/vnd.docker.distribution.manifest.v1+json'
const signedSchema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

let server: RegistryServer
beforeAll(async () => {
  server = await RegistryServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

const ask = (Accept?: string | string[]) =>
  server.get('/v2/hello/manifests/v1', Accept === undefined ? {} : { Accept })

async function typeFor(accept?: string | string[]): Promise<string | undefined> {
  const answer = await ask(accept)
  expect(answer.status).toBe(200)
  expect(answer.json()).toMatchObject({ mediaType: answer.headers['content-type'] })
  return answer.headers['content-type']
}

describe('the OCI manifest', () => {
  test.each<[string, string | string[] | undefined]>([
    ['without Accept', undefined],
    ['for an empty Accept', ''],
    ['for */*', '*/*'],
    ['for application/*', 'application/*'],
    ['for OCI', oci],
    ['for OCI with capital letters', 'Application/VND.OCI.image.manifest.V1+JSON'],
    ['for OCI with a parameter', `${oci};charset=utf-8`],
    ['for Docker and OCI', `${docker}, ${oci}`],
    ['for Docker preferred to OCI, so that a tag has one digest', `${docker}, ${oci};q=0.5`],
    ["for containerd's OCI and */*", `${oci}, */*`],
    ['for schema 1 and */*', `${schema1}, */*;q=0.1`],
    ['for */* without Docker', `${docker};q=0, */*`],
  ])('GET manifest answers OCI %s', async (_, accept) => {
    expect(await typeFor(accept)).toBe(oci)
  })

  const lines = [docker, dockerList, oci, ociIndex, schema1, signedSchema1]
  const orders = lines.map((_, index) => [...lines.slice(index), ...lines.slice(0, index)])
  test.each([...orders, lines.toReversed()].map((order) => [order]))(
    'GET manifest answers OCI for six Accept lines in any order: %j',
    async (order) => {
      expect(await typeFor(order)).toBe(oci)
    },
  )
})

describe('the Docker manifest', () => {
  test.each<[string, string | string[]]>([
    ['for Docker alone', docker],
    ['for Docker types alone', [docker, dockerList, schema1]],
    ["for containerd's Docker and */*", `${docker}, */*`],
    ['for Docker with OCI excluded', `${oci};q=0, ${docker}`],
    ['for */* without OCI', `${oci};q=0, */*`],
    ['for application/* without OCI', `${oci};q=0, application/*`],
  ])('GET manifest answers Docker %s', async (_, accept) => {
    expect(await typeFor(accept)).toBe(docker)
  })
})

describe('neither manifest', () => {
  test.each<[string, string | string[], RegExp]>([
    ['only schema 1', schema1, /schema 1 only, which are no longer sent/],
    ['both kinds of schema 1', [schema1, signedSchema1], /schema 1 only/],
    ['only an index', ociIndex, /the client accepts "application\/vnd\.oci\.image\.index/],
    ['another type', 'text/html', /the client accepts "text\/html"/],
    ['nothing', '*/*;q=0', /the client accepts "\*\/\*;q=0"/],
    ['neither OCI nor Docker', `${oci};q=0, ${docker};q=0, */*`, /the client accepts/],
    ['an invalid media type', 'nonsense', /the client accepts "nonsense"/],
  ])('GET manifest for a client that accepts %s answers 404', async (_, accept, message) => {
    const answer = await ask(accept)
    expect(answer.status).toBe(404)
    expect(registryError(answer)).toMatchObject({
      code: 'MANIFEST_UNKNOWN',
      message: expect.stringMatching(message),
    })
    expect(registryError(answer).message).toContain(`the image has ${oci} and ${docker}`)
    expect(answer.headers.vary).toBe('Accept')
  })
})
