// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, mediaTypes } from '../../../service/image/descriptor.ts'
import { contentHeaders, RegistryServer, registryError } from '../../support/registry-server.ts'
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
])('a manifest by %s', (_, path, caching) => {
  test('has its bytes, and headers that say the truth about them', async () => {
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

  test('has the same headers on HEAD, and no body', async () => {
    const [get, head] = [await server.get(path()), await server.head(path())]
    expect(head.status).toBe(200)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test('whose media type stands in it as well', async () => {
    const answer = await server.get(path())
    expect(answer.json()).toMatchObject({ mediaType: answer.headers['content-type'] })
  })
})

test('a manifest by tag varies with Accept, one by digest does not', async () => {
  const byTag = await server.get('/v2/hello/manifests/v1')
  const byDigest = await server.get(`/v2/hello/manifests/${digest}`)
  expect(byTag.headers.vary).toBe('Accept')
  expect(byDigest.headers.vary).toBeUndefined()
})

test('all tags with one content have one digest', async () => {
  const tags = ['v1', 'v2', 'latest']
  const answers = await Promise.all(tags.map((tag) => server.head(`/v2/hello/manifests/${tag}`)))
  expect(answers.map(({ headers }) => headers['docker-content-digest'])).toEqual(
    tags.map(() => digest),
  )
})

describe('by digest the stored type is sent', () => {
  test.each([
    ['without Accept', {}],
    ['with the other type alone', { Accept: mediaTypes.ociManifest }],
    ['with schema 1 alone', { Accept: 'application/vnd.docker.distribution.manifest.v1+json' }],
    ['with something else altogether', { Accept: 'text/html' }],
    ['as containerd asks', { Accept: `${mediaTypes.dockerManifest}, */*` }],
  ])('%s', async (_, headers) => {
    const answer = await server.get(`/v2/hello/manifests/${dockerDigest}`, headers)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe(mediaTypes.dockerManifest)
    expect(answer.headers['docker-content-digest']).toBe(dockerDigest)
  })
})

// https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
describe('If-None-Match', () => {
  const other = `"sha256:${'f'.repeat(64)}"`
  const paths = [() => '/v2/hello/manifests/v1', () => `/v2/hello/manifests/${digest}`]

  describe.each(paths)('for %s', (path) => {
    test.each([
      ['the ETag', () => `"${digest}"`],
      ['the ETag as a weak one', () => `W/"${digest}"`],
      ['the ETag among others', () => `${other}, W/"x", "${digest}"`],
      ['any', () => '*'],
    ])('with %s is answered 304, without a body', async (_, value) => {
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
    })

    test.each([
      ['another ETag', () => other],
      ['the digest without quotes', () => digest],
      ['a part of the ETag', () => `"${digest.slice(0, -1)}"`],
    ])('with %s is answered with the manifest', async (_, value) => {
      const answer = await server.get(path(), { 'If-None-Match': value() })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(bytes)).toBe(true)
    })
  })

  test('with the ETag of the other dialect is answered with the manifest', async () => {
    const headers = { 'If-None-Match': `"${digest}"`, Accept: mediaTypes.dockerManifest }
    const answer = await server.get('/v2/hello/manifests/v1', headers)
    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe(`"${dockerDigest}"`)
  })
})

describe('what is not there', () => {
  const unknown = `sha256:${'f'.repeat(64)}`

  test.each([
    ['a tag', () => '/v2/hello/manifests/v9'],
    ['a digest', () => `/v2/hello/manifests/${unknown}`],
    ['a digest of another algorithm', () => `/v2/hello/manifests/sha512:${'f'.repeat(128)}`],
    ['a package', () => '/v2/helo/manifests/v1'],
    ['a layer', () => `/v2/hello/manifests/${blobsOf({ bytes }).layers[0]}`],
    ['a config', () => `/v2/hello/manifests/${blobsOf({ bytes }).config}`],
  ])('%s is answered 404 MANIFEST_UNKNOWN, by GET and HEAD alike', async (_, path) => {
    const [get, head] = [await server.get(path()), await server.head(path())]
    expect(get.status).toBe(404)
    expect(registryError(get).code).toBe('MANIFEST_UNKNOWN')
    expect(head.status).toBe(404)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test('a missing package is named, with its nearest names', async () => {
    const { message } = registryError(await server.get('/v2/helo/gitt/manifests/v1'))
    expect(message).toMatch(/"gitt".*git.*"helo".*hello/)
  })
})

describe('a reference that is none', () => {
  test.each(['-v1', '.v1', 'a+b', 'v1!', 'a'.repeat(129)])(
    '%s is an unknown manifest, with the rule for tags',
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
  ])('%s is an invalid digest', async (text) => {
    const answer = await server.get(`/v2/hello/manifests/${text}`)
    expect(answer.status).toBe(400)
    expect(registryError(answer).code).toBe('DIGEST_INVALID')
  })
})

describe('a tag of 128 characters', () => {
  beforeEach(() => {
    server.bench.source.refs.set('t'.repeat(128), '1'.repeat(40))
  })

  test('is a tag like any other', async () => {
    expect((await server.head(`/v2/hello/manifests/${'t'.repeat(128)}`)).status).toBe(200)
  })
})
