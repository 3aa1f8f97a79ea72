// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentHeaders, RegistryServer, registryError } from '../support/registry-server.ts'

const words = ['manifests', 'blobs', 'tags', 'list', 'referrers', 'uploads', 'v2']
const digest = `sha256:${'a'.repeat(64)}`

let server: RegistryServer
beforeAll(async () => {
  const packages = Object.fromEntries([...words, 'hello', 'git'].map((name) => [name, {}]))
  server = await RegistryServer.start({ packages })
})
afterAll(() => server[Symbol.asyncDispose]())

// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
describe.each(['/v2/', '/v2', '/v2/?ns=docker.io', '/v2?ns=docker.io'])('%s', (path) => {
  test('says that this is a registry', async () => {
    const answer = await server.get(path)
    expect(answer.status).toBe(200)
    expect(contentHeaders(answer)).toEqual({
      'docker-distribution-api-version': 'registry/2.0',
      'content-type': 'application/json',
      'content-length': '2',
    })
    expect(answer.json()).toEqual({})
  })

  test('says so by HEAD too', async () => {
    const [get, head] = [await server.get(path), await server.head(path)]
    expect(head.status).toBe(200)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })
})

describe('the version of the API stands on every answer under /v2', () => {
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
  ])('%s', async (path) => {
    for (const method of ['GET', 'HEAD', 'PUT']) {
      const { headers } = await server.send(method, path)
      expect(headers['docker-distribution-api-version']).toBe('registry/2.0')
    }
  })

  test('and on none elsewhere', async () => {
    for (const path of ['/', '/healthz', '/v2x', '/v3/']) {
      const { headers } = await server.get(path)
      expect(headers['docker-distribution-api-version']).toBeUndefined()
    }
  })
})

describe('a path that a registry does not have', () => {
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
  ])('%s is answered 404, as a registry error', async (path) => {
    const [get, head] = [await server.get(path), await server.head(path)]
    expect(get.status).toBe(404)
    expect(registryError(get).message).toContain(path)
    expect(head.status).toBe(404)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test.each(['/', '/nothing', '/v1/', '/v2x/', '/V2/', '//v2/', '/api', '/%zz'])(
    'outside /v2: %s is answered 404',
    async (path) => {
      for (const method of ['GET', 'HEAD', 'POST']) {
        expect((await server.send(method, path)).status).toBe(404)
      }
    },
  )
})

describe('a name', () => {
  test.each([
    ['of several components', 'hello/git'],
    ['of a component more than once', 'hello/hello'],
    ['with a registry’s words in it', words.join('/')],
    ['that ends in such a word', 'hello/manifests'],
    ['that is such a word', 'manifests'],
    ['that repeats such a word', 'manifests/manifests/blobs/blobs'],
    ['that looks like a list of tags', 'tags/list'],
  ])('%s works on every route: %s', async (_, name) => {
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
    ['a dot alone', 'hello%2F.%2Fgit'],
    ['a way out', '..%2F..%2Fetc'],
    ['a NUL', 'hello%00'],
    ['other scripts', '%C3%A4'],
    ['a tag', 'hello:v1'],
    ['more than 255 characters', 'a'.repeat(256)],
    ['a lone platform', 'arm64'],
  ])('with %s is answered 400 NAME_INVALID on every route: %s', async (_, name) => {
    for (const rest of ['manifests/v1', `blobs/${digest}`, 'tags/list', `referrers/${digest}`]) {
      const answer = await server.get(`/v2/${name}/${rest}`)
      expect(answer.status).toBe(400)
      expect(registryError(answer).code).toBe('NAME_INVALID')
    }
  })

  test('of 255 characters is one', async () => {
    expect((await server.get(`/v2/${'a'.repeat(255)}/tags/list`)).status).toBe(200)
  })
})

describe('percent-encoding', () => {
  test('of a slash in the name is undone', async () => {
    const [plain, encoded] = [
      await server.get('/v2/hello/git/manifests/v1'),
      await server.get('/v2/hello%2fgit/manifests/v1'),
    ]
    expect(encoded.status).toBe(200)
    expect(encoded.body.equals(plain.body)).toBe(true)
  })

  test('of the colon in a digest is undone', async () => {
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

  test('of a tag is undone once', async () => {
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
  ])('that is malformed is the client’s mistake: %s', async (path, status) => {
    const answer = await server.get(path)
    expect(answer.status).toBe(status)
    expect(registryError(answer).message).toContain('%')
    expect(server.log.at('error')).toEqual([])
  })
})

describe('a query that nobody asked for', () => {
  test.each([
    '/v2/hello/manifests/v1?ns=docker.io',
    '/v2/hello/tags/list?ns=docker.io',
    '/v2/_catalog?ns=docker.io',
    `/v2/hello/referrers/${digest}?ns=docker.io`,
    '/v2/hello/manifests/v1?',
    '/v2/hello/manifests/v1?a=%zz&&=&n=x',
  ])('is tolerated: %s', async (path) => {
    expect((await server.get(path)).status).toBe(200)
  })

  test('is tolerated on a blob', async () => {
    const blob = await server.bench.putBlob(Buffer.from('blob'))
    expect((await server.get(`/v2/hello/blobs/${blob}?ns=docker.io`)).status).toBe(200)
  })

  test('does not hide that a tag is unknown', async () => {
    expect((await server.get('/v2/hello/manifests/v9?ns=docker.io')).status).toBe(404)
  })
})

test.each([
  ['/v2/hello/manifests/', 404, 'MANIFEST_UNKNOWN', 'a tag holds letters'],
  ['/v2/hello/manifests/a/b', 404, 'MANIFEST_UNKNOWN', '"a/b" is not a tag'],
  ['/v2//manifests/v1', 400, 'NAME_INVALID', 'is not an image name'],
])('a path whose parts break the grammar says which: %s', async (path, status, code, message) => {
  const answer = await server.get(path)
  expect(answer.status).toBe(status)
  expect(registryError(answer)).toMatchObject({ code, message: expect.stringContaining(message) })
})
