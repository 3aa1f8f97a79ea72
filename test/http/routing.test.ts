// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AppServer, contentHeaders } from '../support/app-server.ts'
import { RegistryServer, registryError } from '../support/registry-server.ts'

/** Words of the registry's own paths, which may stand in a name, too. */
const words = ['manifests', 'blobs', 'tags', 'list', 'referrers', 'uploads', 'v2']
const digest = `sha256:${'a'.repeat(64)}`

let server: RegistryServer
beforeAll(async () => {
  const packages = Object.fromEntries([...words, 'hello', 'git'].map((name) => [name, {}]))
  server = await RegistryServer.start({ packages })
})
afterAll(() => server[Symbol.asyncDispose]())

// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
const basePaths = ['/v2/', '/v2', '/v2/?ns=docker.io', '/v2?ns=docker.io']

test.each(basePaths)('GET %s answers 200 with the version of the API', async (path) => {
  const answer = await server.get(path)
  expect(answer.status).toBe(200)
  expect(contentHeaders(answer)).toEqual({
    'docker-distribution-api-version': 'registry/2.0',
    'content-type': 'application/json',
    'content-length': '2',
  })
  expect(answer.json()).toEqual({})
})

test.each(basePaths)('HEAD %s answers the headers of GET without a body', async (path) => {
  const [get, head] = [await server.get(path), await server.head(path)]
  expect(head.status).toBe(200)
  expect(head.body.length).toBe(0)
  expect(contentHeaders(head)).toEqual(contentHeaders(get))
})

test.each([
  '/v2',
  '/v2/',
  '/v2/hello/manifests/v1',
  '/v2/hello/manifests/v9',
  `/v2/hello/blobs/${digest}`,
  '/v2/hello/tags/list',
  '/v2/_catalog',
  `/v2/hello/referrers/${digest}`,
  '/v2/nothing/here',
  '/v2/%zz/manifests/v1',
])('GET, HEAD and PUT of %s answer with the version of the API', async (path) => {
  for (const method of ['GET', 'HEAD', 'PUT']) {
    const { headers } = await server.send(method, path)
    expect(headers['docker-distribution-api-version']).toBe('registry/2.0')
  }
})

test('answers outside /v2 have no version of the registry API', async () => {
  for (const path of ['/', '/healthz', '/v2x', '/v3/']) {
    const { headers } = await server.get(path)
    expect(headers['docker-distribution-api-version']).toBeUndefined()
  }
})

test.each([
  '/v2/hello',
  '/v2/hello/',
  '/v2/hello/manifests',
  '/v2/hello/blobs/',
  '/v2/hello/blobs/uploads/',
  '/v2/hello/tags',
  '/v2/hello/tags/list/more',
  '/v2/manifests/v1',
  '/v2/tags/list',
  '/v2/hello%2Fmanifests%2Fv1',
  '/v2/_nothing',
  '/v2//',
  '/v2/_catalog/',
  '/v2/_CATALOG',
])('GET and HEAD of the unknown path %s answer 404 as a registry error', async (path) => {
  const [get, head] = [await server.get(path), await server.head(path)]
  expect(get.status).toBe(404)
  expect(registryError(get).message).toContain(path)
  expect(head.status).toBe(404)
  expect(contentHeaders(head)).toEqual(contentHeaders(get))
})

test.each(['/nothing', '/v1/', '/v2x/', '/V2/', '//v2/', '/api', '/webhooks', '/%zz'])(
  'GET, HEAD, POST and OPTIONS of the unknown path %s answer 404 as {"error"}',
  async (path) => {
    for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS']) {
      const answer = await server.send(method, path)
      expect(answer.status).toBe(404)
      if (method !== 'HEAD') expect(answer.json()).toEqual({ error: `there is no ${path}` })
    }
  },
)

test.each(['PUT', 'DELETE', 'OPTIONS', 'PROPFIND', 'TRACE'])(
  '%s of a path that takes GET answers 405 with Allow',
  async (method) => {
    for (const path of ['/', '/metrics', '/api/refs', '/api/builds/some-id']) {
      const answer = await server.send(method, path)
      expect(answer.status).toBe(405)
      expect(answer.headers.allow).toBe('GET, HEAD')
      expect(answer.json()).toEqual({ error: `${path} accepts GET, HEAD, not ${method}` })
    }
  },
)

test('the path of a proxy request, with scheme and host, is routed by its path', async () => {
  expect((await server.get('http://registry.example.com/v2/')).status).toBe(200)
  expect((await server.get('http://registry.example.com/v2/hello')).status).toBe(404)
})

test.each([
  ['several components', 'hello/git'],
  ['a component twice', 'hello/hello'],
  ['words of the registry', words.join('/')],
  ['a word of the registry at its end', 'hello/manifests'],
  ['one word of the registry', 'manifests'],
  ['repeated words of the registry', 'manifests/manifests/blobs/blobs'],
  ['the form of a list of tags', 'tags/list'],
])('a name of %s works on every route: %s', async (_, name) => {
  const manifest = await server.get(`/v2/${name}/manifests/v1`)
  expect(manifest.status).toBe(200)
  const { config } = manifest.json() as { config: { digest: string } }
  expect((await server.get(`/v2/${name}/blobs/${config.digest}`)).status).toBe(200)
  expect((await server.get(`/v2/${name}/tags/list`)).json()).toMatchObject({ name })
  expect((await server.get(`/v2/${name}/referrers/${digest}`)).status).toBe(200)
})

test.each([
  ['upper case', 'Hello'],
  ['an encoded space', 'hel%20lo'],
  ['a leading dash', '-hello'],
  ['an empty component', 'hello//git'],
  ['a dot as a component', 'hello%2F.%2Fgit'],
  ['a path to a parent folder', '..%2F..%2Fetc'],
  ['a NUL', 'hello%00'],
  ['a letter outside ASCII', '%C3%A4'],
  ['a tag', 'hello:v1'],
  ['256 characters', 'a'.repeat(256)],
  ['a platform alone', 'arm64'],
])('a name with %s answers 400 NAME_INVALID on every route: %s', async (_, name) => {
  for (const rest of ['manifests/v1', `blobs/${digest}`, 'tags/list', `referrers/${digest}`]) {
    const answer = await server.get(`/v2/${name}/${rest}`)
    expect(answer.status).toBe(400)
    expect(registryError(answer).code).toBe('NAME_INVALID')
  }
})

test('a name of 255 characters is valid', async () => {
  expect((await server.get(`/v2/${'a'.repeat(255)}/tags/list`)).status).toBe(200)
})

test('a percent-encoded slash in a name is decoded', async () => {
  const plain = await server.get('/v2/hello/git/manifests/v1')
  const encoded = await server.get('/v2/hello%2fgit/manifests/v1')
  expect(encoded.status).toBe(200)
  expect(encoded.body.equals(plain.body)).toBe(true)
})

test('a percent-encoded colon in a digest is decoded', async () => {
  const manifest = await server.get('/v2/hello/manifests/v1')
  const own = String(manifest.headers['docker-content-digest'])
  for (const route of ['manifests', 'blobs']) {
    const answer = await server.get(`/v2/hello/${route}/${own.replace(':', '%3A')}`)
    expect(answer.status).toBe(200)
    expect(answer.body.equals(manifest.body)).toBe(true)
  }
  const referrers = await server.get(`/v2/hello/referrers/${digest.replace(':', '%3a')}`)
  expect(referrers.status).toBe(200)
})

test('a percent-encoded tag is decoded once, not twice', async () => {
  expect((await server.get('/v2/hello/manifests/%761')).status).toBe(200)
  expect((await server.get('/v2/hello/manifests/%25761')).status).toBe(404)
})

test.each([
  ['/v2/%zz/manifests/v1', 400],
  ['/v2/hello%/manifests/v1', 400],
  ['/v2/hello%ff/tags/list', 400],
  ['/v2/hello/manifests/%', 404],
  ['/v2/hello/manifests/v1%f', 404],
  ['/v2/hello/manifests/%E0%A4%A', 404],
  ['/v2/hello/blobs/sha256%zz', 400],
  ['/v2/hello/referrers/%', 400],
  ['/v2/%', 404],
])('malformed percent-encoding is a failure of the client: %s answers %i', async (path, status) => {
  const answer = await server.get(path)
  expect(answer.status).toBe(status)
  expect(registryError(answer).message).toContain('%')
  expect(server.log.at('error')).toEqual([])
})

test.each(['/api/builds/%', '/api/builds/%E0%A4%A'])(
  'malformed percent-encoding of a build answers 404: %s',
  async (path) => {
    await using app = await AppServer.start()
    expect((await app.get(path)).status).toBe(404)
  },
)

test.each([
  '/v2/hello/manifests/v1?ns=docker.io',
  '/v2/hello/tags/list?ns=docker.io',
  '/v2/_catalog?ns=docker.io',
  `/v2/hello/referrers/${digest}?ns=docker.io`,
  '/v2/hello/manifests/v1?',
  '/v2/hello/manifests/v1?a=%zz&&=&n=x',
])('unknown query parameters are ignored: %s', async (path) => {
  expect((await server.get(path)).status).toBe(200)
})

test('unknown query parameters of a blob are ignored', async () => {
  const blob = await server.bench.putBlob(Buffer.from('blob'))
  expect((await server.get(`/v2/hello/blobs/${blob}?ns=docker.io`)).status).toBe(200)
})

test('an unknown tag with a query answers 404', async () => {
  expect((await server.get('/v2/hello/manifests/v9?ns=docker.io')).status).toBe(404)
})

test.each([
  ['/v2/hello/manifests/', 404, 'MANIFEST_UNKNOWN', 'a tag holds letters'],
  ['/v2/hello/manifests/a/b', 404, 'MANIFEST_UNKNOWN', '"a/b" is not a tag'],
  ['/v2//manifests/v1', 400, 'NAME_INVALID', 'is not an image name'],
  ['/v2/hello/manifests/a/manifests/b/c', 404, 'MANIFEST_UNKNOWN', '"a/manifests/b/c" is not'],
])('an invalid part of a path is named in the answer: %s', async (path, status, code, message) => {
  const answer = await server.get(path)
  expect(answer.status).toBe(status)
  expect(registryError(answer)).toMatchObject({ code, message: expect.stringContaining(message) })
})
