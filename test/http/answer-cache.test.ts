// A cached answer equals the answer of its route, and is sent only while it is fresh and allowed.
import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Authorise } from '../../service/http/authorise.ts'
import type { Digest } from '../../service/image/descriptor.ts'
import { Failure } from '../../service/image/errors.ts'
import { contentHeaders } from '../support/app-server.ts'
import { RegistryServer, registryError } from '../support/registry-server.ts'
import { blobsOf } from '../support/workbench.ts'

const dockerType = 'application/vnd.docker.distribution.manifest.v2+json'
const ociType = 'application/vnd.oci.image.manifest.v1+json'
const path = '/v2/hello/manifests/v1'

let server: RegistryServer
/** `name address` of each pull that was counted. */
let pulls: string[]
/** Bytes of blobs that were counted. */
let bytes: number
/** Requests that reached a route. */
let routed: number
let authorise: Authorise

beforeEach(async () => {
  pulls = []
  bytes = 0
  routed = 0
  authorise = () => {}
  server = await RegistryServer.start({
    services: {
      onPull: (name, address) => pulls.push(`${name.text} ${address}`),
      onBlobBytes: (count) => {
        bytes += count
      },
    },
    authorise: (request) => authorise(request),
  })
  const { pull, blobs } = server.bench
  const { byTag, byDigest } = pull
  pull.byTag = (...args) => {
    routed += 1
    return byTag.apply(pull, args)
  }
  pull.byDigest = (...args) => {
    routed += 1
    return byDigest.apply(pull, args)
  }
  const { stat } = blobs
  blobs.stat = (...args) => {
    routed += 1
    return stat.apply(blobs, args)
  }
})
afterEach(() => server[Symbol.asyncDispose]())

/** Sends the same request twice; the first one reaches its route. */
async function twice(method: string, where: string, headers: Record<string, string> = {}) {
  const first = await server.send(method, where, headers)
  const before = routed
  const second = await server.send(method, where, headers)
  return { first, second, isCached: routed === before }
}

async function someBlob(): Promise<{ digest: Digest; where: string }> {
  const [digest] = blobsOf({ bytes: (await server.get(path)).body }).layers
  if (digest === undefined) throw new Error('the image has no layer')
  return { digest, where: `/v2/hello/blobs/${digest}` }
}

test.each([
  ['without Accept', {}],
  ['with the OCI type', { Accept: ociType }],
  ['with the Docker type', { Accept: dockerType }],
  ['with both types', { Accept: `${dockerType}, ${ociType}, */*` }],
])('GET of a cached manifest by tag, %s, answers as its route did', async (_, headers) => {
  const { first, second, isCached } = await twice('GET', path, headers)
  expect(isCached).toBe(true)
  expect(second.status).toBe(200)
  expect(second.body.equals(first.body)).toBe(true)
  expect(contentHeaders(second)).toEqual(contentHeaders(first))

  const before = routed
  const head = await server.send('HEAD', path, headers)
  expect(head.status).toBe(200)
  expect(head.body.length).toBe(0)
  expect(contentHeaders(head)).toEqual(contentHeaders(first))

  const condition = { ...headers, 'If-None-Match': String(first.headers.etag) }
  const unchanged = await server.send('GET', path, condition)
  expect(unchanged.status).toBe(304)
  expect(unchanged.body.length).toBe(0)
  expect(routed).toBe(before)
  // With Cache-Control, the request reaches its route.
  const asked = await server.send('GET', path, { ...condition, 'Cache-Control': 'max-age=0' })
  expect(asked.status).toBe(304)
  expect(routed).toBe(before + 1)
  expect(contentHeaders(unchanged)).toEqual(contentHeaders(asked))
})

test('GET of a manifest after HEAD is answered from the cache', async () => {
  await server.head(path)
  const before = routed
  const answer = await server.get(path)
  expect(routed).toBe(before)
  expect(answer.body.length).toBe(Number(answer.headers['content-length']))
})

test('GET of a cached manifest by digest answers as its route did', async () => {
  const { headers } = await server.get(path)
  const where = `/v2/hello/manifests/${headers['docker-content-digest']}`
  const { first, second, isCached } = await twice('GET', where)
  expect(isCached).toBe(true)
  expect(second.body.equals(first.body)).toBe(true)
  expect(contentHeaders(second)).toEqual(contentHeaders(first))
})

test('GET of a cached small blob answers as its route did, and its bytes are counted', async () => {
  const { digest, where } = await someBlob()
  const { first, second, isCached } = await twice('GET', where)
  expect(isCached).toBe(true)
  expect(second.body.equals(first.body)).toBe(true)
  expect(`sha256:${createHash('sha256').update(second.body).digest('hex')}`).toBe(digest)
  expect(contentHeaders(second)).toEqual(contentHeaders(first))
  expect(bytes).toBe(2 * first.body.length)
})

test('each answer with a cached manifest is counted as a pull', async () => {
  for (let times = 0; times < 3; times++) await server.get(path)
  expect(pulls).toHaveLength(3)
  expect(new Set(pulls)).toHaveLength(1)
  expect(pulls[0]).toMatch(/^hello (::ffff:)?127\.0\.0\.1$/)
})

test('a request for another media type is not answered from the cache', async () => {
  const oci = await server.get(path, { Accept: ociType })
  const docker = await server.get(path, { Accept: dockerType })
  expect(oci.headers['content-type']).toBe(ociType)
  expect(docker.headers['content-type']).toBe(dockerType)
})

test('a tag that moved is answered with its new manifest', async () => {
  const first = await server.get(path)
  const { bench } = server
  bench.source.refs.set('v1', bench.source.refs.get('v2') ?? '')
  const moved = await server.get(path)
  const target = await server.get('/v2/hello/manifests/v2')
  expect(moved.headers.etag).toBe(target.headers.etag)
  expect(routed).toBeGreaterThan(2)
  expect(first.status).toBe(200)
})

test('a tag that was deleted answers 404', async () => {
  await server.get(path)
  server.bench.source.refs.delete('v1')
  expect((await server.get(path)).status).toBe(404)
})

test('an image with a missing blob is not answered from the cache', async () => {
  const { digest } = await someBlob()
  server.bench.images.forgetBlob(digest)
  const before = routed
  expect((await server.get(path)).status).toBe(200)
  expect(routed).toBeGreaterThan(before)
})

test.each([
  ['a range of', { Range: 'bytes=0-0' }, 206],
  ['another ETag for', { 'If-None-Match': '"something else"' }, 200],
  ['several ETags for', { 'If-None-Match': '"one", "two"' }, 200],
])('a request with %s a cached blob reaches its route', async (_, headers, status) => {
  const { where } = await someBlob()
  await server.get(where)
  const before = routed
  expect((await server.get(where, headers)).status).toBe(status)
  expect(routed).toBe(before + 1)
})

test('an error is not cached', async () => {
  const { isCached, second } = await twice('GET', '/v2/hello/manifests/unknown')
  expect(second.status).toBe(404)
  expect(isCached).toBe(false)
})

test('an answer to a URL of 1,500 characters is not cached', async () => {
  const { isCached } = await twice('GET', `${path}?${'x'.repeat(1500)}`)
  expect(isCached).toBe(false)
})

test.each(['PUT', 'DELETE', 'POST', 'PATCH'])(
  '%s of a path with a cached answer answers 405',
  async (method) => {
    await server.get(path)
    expect((await server.send(method, path)).status).toBe(405)
  },
)

const denied = new Failure('denied', 'you may not pull this')

test.each<[string, Authorise]>([
  [
    'at once',
    () => {
      throw denied
    },
  ],
  ['after a wait', () => new Promise((_, reject) => setImmediate(reject, denied))],
])('a cached answer is not sent if access is denied %s', async (_, deny) => {
  const { digest, where } = await someBlob()
  const byDigest = `/v2/hello/manifests/${(await server.get(path)).headers['docker-content-digest']}`
  for (const warm of [path, where, byDigest]) expect((await twice('GET', warm)).isCached).toBe(true)
  authorise = deny
  const before = { pulls: pulls.length, bytes, routed }
  for (const warm of [path, where, byDigest]) {
    for (const headers of [{}, { 'If-None-Match': '*' }, { 'If-None-Match': `"${digest}"` }]) {
      const answer = await server.get(warm, headers)
      expect(answer.status).toBe(403)
      expect(registryError(answer)).toMatchObject({ code: 'DENIED', message: denied.message })
      expect(answer.headers.etag).toBeUndefined()
      expect((await server.head(warm, headers)).status).toBe(403)
    }
  }
  expect({ pulls: pulls.length, bytes, routed }).toEqual(before)
  // The failure was not cached.
  authorise = () => {}
  expect((await server.get(path)).status).toBe(200)
})

test('a cached answer is sent after access control has waited', async () => {
  await server.get(path)
  authorise = () => new Promise((resolve) => setImmediate(resolve))
  const { first, second, isCached } = await twice('GET', path)
  expect(isCached).toBe(true)
  expect(second.body.equals(first.body)).toBe(true)
})

test('a tag that is deleted while access control waits answers 404', async () => {
  await server.get(path)
  const { refs } = server.bench.source
  authorise = async () => {
    await new Promise(setImmediate)
    refs.delete('v1')
  }
  expect((await server.get(path)).status).toBe(404)
})

test('a damaged blob answers 404, and the next pull of its image packs it again', async () => {
  const { digest, where } = await someBlob()
  const stored = join(server.bench.storageFolder, 'blobs/sha256', digest.slice(7))
  const { length } = (await server.get(where)).body
  const other = await RegistryServer.start({ restarted: server.bench })
  await rm(stored)
  await writeFile(stored, Buffer.alloc(length, 'x'))
  try {
    expect((await other.get(where)).status).toBe(404)
    expect((await other.get(path)).status).toBe(200)
    expect((await other.get(where)).body).toHaveLength(length)
  } finally {
    await other[Symbol.asyncDispose]()
  }
})
