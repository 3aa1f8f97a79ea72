// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, mediaTypes } from '../../../service/image/descriptor.ts'
import { contentHeaders } from '../../support/app-server.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'
import { blobsOf } from '../../support/workbench.ts'

let server: RegistryServer
let digest: Digest
let dockerDigest: Digest
let bytes: Uint8Array

beforeAll(async () => {
  server = await RegistryServer.start()
  const { oci, docker } = await server.bench.image('hello')
  digest = oci.descriptor.digest
  dockerDigest = docker.descriptor.digest
  bytes = oci.bytes
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each([
  ['tag', () => '/v2/hello/manifests/v1', 'no-cache'],
  ['digest', () => `/v2/hello/manifests/${digest}`, 'public, max-age=31536000, immutable'],
])('by %s', (kind, path, caching) => {
  test(`GET manifest by ${kind} answers its bytes and headers`, async () => {
    const answer = await server.get(path())
    expect(answer.status).toBe(200)
    expect(answer.body.equals(bytes)).toBe(true)
    expect(contentHeaders(answer)).toMatchObject({
      'content-type': mediaTypes.ociManifest,
      'content-length': String(bytes.length),
      'docker-content-digest': `sha256:${createHash('sha256').update(answer.body).digest('hex')}`,
      etag: `"${digest}"`,
      'cache-control': caching,
      'docker-distribution-api-version': 'registry/2.0',
    })
  })

  test(`HEAD manifest by ${kind} answers the headers of GET without a body`, async () => {
    const [get, head] = [await server.get(path()), await server.head(path())]
    expect(head.status).toBe(200)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test(`GET manifest by ${kind} answers the media type that is in the manifest`, async () => {
    const answer = await server.get(path())
    expect(answer.json()).toMatchObject({ mediaType: answer.headers['content-type'] })
  })
})

test('GET manifest by tag has Vary: Accept, GET by digest has none', async () => {
  const byTag = await server.get('/v2/hello/manifests/v1')
  const byDigest = await server.get(`/v2/hello/manifests/${digest}`)
  expect(byTag.headers.vary).toBe('Accept')
  expect(byDigest.headers.vary).toBeUndefined()
})

test('tags with the same content have the same digest', async () => {
  const tags = ['v1', 'v2', 'latest']
  const answers = await Promise.all(tags.map((tag) => server.head(`/v2/hello/manifests/${tag}`)))
  expect(answers.map(({ headers }) => headers['docker-content-digest'])).toEqual(
    tags.map(() => digest),
  )
})

test.each([
  ['no Accept', {}],
  ['only the other type in Accept', { Accept: mediaTypes.ociManifest }],
  ['only schema 1 in Accept', { Accept: 'application/vnd.docker.distribution.manifest.v1+json' }],
  ['only HTML in Accept', { Accept: 'text/html' }],
  ["containerd's Accept", { Accept: `${mediaTypes.dockerManifest}, */*` }],
])('GET manifest by digest answers the stored type, with %s', async (_, headers) => {
  const answer = await server.get(`/v2/hello/manifests/${dockerDigest}`, headers)
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe(mediaTypes.dockerManifest)
  expect(answer.headers['docker-content-digest']).toBe(dockerDigest)
})

// https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
describe('If-None-Match', () => {
  const other = `"sha256:${'f'.repeat(64)}"`
  const paths: [string, () => string][] = [
    ['tag', () => '/v2/hello/manifests/v1'],
    ['digest', () => `/v2/hello/manifests/${digest}`],
  ]

  describe.each(paths)('by %s', (kind, path) => {
    test.each([
      ['the ETag', () => `"${digest}"`],
      ['the ETag as a weak one', () => `W/"${digest}"`],
      ['the ETag among others', () => `${other}, W/"x", "${digest}"`],
      ['*', () => '*'],
    ])(
      `manifest by ${kind} with If-None-Match of %s answers 304 without a body`,
      async (_, value) => {
        for (const method of ['GET', 'HEAD']) {
          const answer = await server.send(method, path(), { 'If-None-Match': value() })
          expect(answer.status).toBe(304)
          expect(answer.body.length).toBe(0)
          expect(answer.headers).toMatchObject({
            etag: `"${digest}"`,
            'docker-content-digest': digest,
            'cache-control': expect.any(String),
          })
          expect(answer.headers['content-type']).toBeUndefined()
        }
      },
    )

    test.each([
      ['another ETag', () => other],
      ['the digest without quotes', () => digest],
      ['a part of the ETag', () => `"${digest.slice(0, -1)}"`],
    ])(`manifest by ${kind} with If-None-Match of %s answers the manifest`, async (_, value) => {
      const answer = await server.get(path(), { 'If-None-Match': value() })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(bytes)).toBe(true)
    })
  })

  test('manifest with If-None-Match of the other media type answers the manifest', async () => {
    const headers = { 'If-None-Match': `"${digest}"`, Accept: mediaTypes.dockerManifest }
    const answer = await server.get('/v2/hello/manifests/v1', headers)
    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe(`"${dockerDigest}"`)
  })
})

describe('an unknown manifest', () => {
  const unknown = `sha256:${'f'.repeat(64)}`

  test.each([
    ['an unknown tag', () => '/v2/hello/manifests/v9'],
    ['an unknown digest', () => `/v2/hello/manifests/${unknown}`],
    ['a digest of another algorithm', () => `/v2/hello/manifests/sha512:${'f'.repeat(128)}`],
    ['an unknown package', () => '/v2/helo/manifests/v1'],
    ['a layer', () => `/v2/hello/manifests/${blobsOf({ bytes }).layers[0]}`],
    ['a config', () => `/v2/hello/manifests/${blobsOf({ bytes }).config}`],
  ])('GET and HEAD manifest of %s answer 404 MANIFEST_UNKNOWN', async (_, path) => {
    const [get, head] = [await server.get(path()), await server.head(path())]
    expect(get.status).toBe(404)
    expect(registryError(get).code).toBe('MANIFEST_UNKNOWN')
    expect(head.status).toBe(404)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test('GET manifest of unknown packages names them with the nearest names', async () => {
    const { message } = registryError(await server.get('/v2/helo/gitt/manifests/v1'))
    expect(message).toMatch(/"gitt".*git.*"helo".*hello/)
  })
})

describe('an invalid reference', () => {
  test.each(['-v1', '.v1', 'a+b', 'v1!', 'a'.repeat(129)])(
    'GET manifest of the invalid tag %s answers 404 with the rule for tags',
    async (tag) => {
      const answer = await server.get(`/v2/hello/manifests/${tag}`)
      expect(answer.status).toBe(404)
      expect(registryError(answer)).toMatchObject({
        code: 'MANIFEST_UNKNOWN',
        message: expect.stringContaining('a tag holds letters, digits'),
      })
    },
  )

  test.each([
    'sha256:abc',
    `sha256:${'F'.repeat(64)}`,
    `sha256:${'f'.repeat(65)}`,
    `md5:${'f'.repeat(32)}`,
    'sha256:',
    ':',
  ])('GET manifest of the invalid digest %s answers 400 DIGEST_INVALID', async (text) => {
    const answer = await server.get(`/v2/hello/manifests/${text}`)
    expect(answer.status).toBe(400)
    expect(registryError(answer).code).toBe('DIGEST_INVALID')
  })
})

test('a tag of 128 characters can be pulled', async () => {
  server.bench.source.refs.set('t'.repeat(128), '1'.repeat(40))
  expect((await server.head(`/v2/hello/manifests/${'t'.repeat(128)}`)).status).toBe(200)
})
