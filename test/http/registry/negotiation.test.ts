// Which manifest a tag is answered with: OCI wherever it is acceptable.
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

describe('OCI is sent', () => {
  test.each<[string, string | string[] | undefined]>([
    ['without Accept', undefined],
    ['for an empty Accept', ''],
    ['for anything', '*/*'],
    ['for any application type', 'application/*'],
    ['for OCI', oci],
    ['for OCI in other letters', 'Application/VND.OCI.image.manifest.V1+JSON'],
    ['for OCI with a parameter', `${oci};charset=utf-8`],
    ['for Docker and OCI', `${docker}, ${oci}`],
    ['for Docker preferred to OCI, so that a tag has one digest', `${docker}, ${oci};q=0.5`],
    ['for OCI and anything, as containerd asks', `${oci}, */*`],
    ['for schema 1 and anything', `${schema1}, */*;q=0.1`],
    ['for anything but Docker', `${docker};q=0, */*`],
  ])('%s', async (_, accept) => {
    expect(await typeFor(accept)).toBe(oci)
  })

  const lines = [docker, dockerList, oci, ociIndex, schema1, signedSchema1]
  const orders = lines.map((_, index) => [...lines.slice(index), ...lines.slice(0, index)])
  test.each([...orders, lines.toReversed()].map((order) => [order]))(
    'for six header lines, in any order: %j',
    async (order) => {
      expect(await typeFor(order)).toBe(oci)
    },
  )
})

describe('Docker is sent', () => {
  test.each<[string, string | string[]]>([
    ['for Docker alone', docker],
    ['for Docker types alone', [docker, dockerList, schema1]],
    ['for Docker and anything, as containerd asks for an exact type', `${docker}, */*`],
    ['for Docker with OCI excluded', `${oci};q=0, ${docker}`],
    ['for anything but OCI', `${oci};q=0, */*`],
    ['for any application type but OCI', `${oci};q=0, application/*`],
  ])('%s', async (_, accept) => {
    expect(await typeFor(accept)).toBe(docker)
  })
})

describe('a client that can be sent neither is told so', () => {
  test.each<[string, string | string[], RegExp]>([
    ['schema 1 alone', schema1, /schema 1 only, which are no longer sent/],
    ['both kinds of schema 1', [schema1, signedSchema1], /schema 1 only/],
    ['an index alone', ociIndex, /the client accepts "application\/vnd\.oci\.image\.index/],
    ['another type', 'text/html', /the client accepts "text\/html"/],
    ['nothing at all', '*/*;q=0', /the client accepts "\*\/\*;q=0"/],
    ['both excluded', `${oci};q=0, ${docker};q=0, */*`, /the client accepts/],
    ['no media type', 'nonsense', /the client accepts "nonsense"/],
  ])('%s', async (_, accept, reason) => {
    const answer = await ask(accept)
    expect(answer.status).toBe(404)
    expect(registryError(answer)).toMatchObject({
      code: 'MANIFEST_UNKNOWN',
      message: expect.stringMatching(reason),
    })
    expect(registryError(answer).message).toContain(`there is ${oci} and ${docker}`)
    expect(answer.headers.vary).toBe('Accept')
  })
})
