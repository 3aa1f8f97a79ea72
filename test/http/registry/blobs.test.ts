// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Digest, hexOf, mediaTypes, sha256Digest } from '../../../service/image/descriptor.ts'
import { contentHeaders } from '../../support/app-server.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'
import { blobsOf } from '../../support/workbench.ts'

/** More than a blob whose answer is cached, so it is sent piece by piece. */
const bytes = randomBytes(3_000_000)
const digest = sha256Digest(bytes)
const path = `/v2/hello/blobs/${digest}`
const signedUrl = 'https://bucket.example/a%20b?X-Goog-Signature=abc%2Fdef&X-Goog-Expires=600'

let server: RegistryServer
/** The storage of a back end without a PieceReader, such as a bucket. */
let streaming: RegistryServer
/** The storage of a back end that clients are redirected to. */
let redirecting: RegistryServer

beforeAll(async () => {
  server = await RegistryServer.start()
  streaming = await RegistryServer.start({ hasPieces: false })
  redirecting = await RegistryServer.start({ redirectTo: signedUrl })
  for (const { bench } of [server, streaming, redirecting]) await bench.putBlob(bytes)
})
afterAll(async () => {
  for (const each of [server, streaming, redirecting]) await each[Symbol.asyncDispose]()
})

test.each([
  ['pieces', () => server, 'read'],
  ['a stream', () => streaming, 'get'],
])('GET blob answers its bytes and headers, from %s', async (_, started, operation) => {
  const { bench } = started()
  bench.journal.length = 0
  const answer = await started().get(path)
  expect(answer.status).toBe(200)
  expect(answer.body.equals(bytes)).toBe(true)
  expect(contentHeaders(answer)).toEqual({
    'content-type': 'application/octet-stream',
    'content-length': String(bytes.length),
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'cache-control': 'public, max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    'docker-distribution-api-version': 'registry/2.0',
  })
  const key = `blobs/sha256/${hexOf(digest)}`
  expect(bench.journal).toEqual([`stat ${key}`, `${operation} ${key}`])
})

test('HEAD blob answers the headers of GET without a body', async () => {
  const [get, head] = [await server.get(path), await server.head(path)]
  expect(head.status).toBe(200)
  expect(head.body.length).toBe(0)
  expect(contentHeaders(head)).toEqual(contentHeaders(get))
})

test('GET blob answers the same for every Accept and Accept-Encoding', async () => {
  for (const headers of [{ Accept: 'application/json' }, { 'Accept-Encoding': 'gzip, br' }]) {
    const answer = await server.get(path, headers)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.body.equals(bytes)).toBe(true)
  }
})

test('a blob is found under every well-formed name', async () => {
  expect((await server.head(`/v2/some/other/name/blobs/${digest}`)).status).toBe(200)
})

test('GET of an empty blob answers 200 without a body', async () => {
  const empty = await server.bench.putBlob(Buffer.alloc(0))
  const answer = await server.get(`/v2/hello/blobs/${empty}`)
  expect(answer.status).toBe(200)
  expect(answer.headers['content-length']).toBe('0')
  expect(answer.body.length).toBe(0)
})

test('a blob is answered three times on one connection', async () => {
  const answers = []
  for (let count = 0; count < 3; count++) {
    const answer = await fetch(server.url + path)
    answers.push(sha256Digest(await answer.bytes()))
  }
  expect(answers).toEqual([digest, digest, digest])
})

test('every blob in a manifest can be pulled, with the size and digest in the manifest', async () => {
  const manifest = await server.get('/v2/git/manifests/v1')
  const { config, layers } = manifest.json() as {
    config: { digest: Digest; size: number }
    layers: { digest: Digest; size: number }[]
  }
  for (const blob of [config, ...layers]) {
    const answer = await server.get(`/v2/git/blobs/${blob.digest}`)
    expect(answer.body.length).toBe(blob.size)
    expect(sha256Digest(answer.body)).toBe(blob.digest)
  }
})

test('a manifest can be pulled as a blob', async () => {
  const manifest = await server.get('/v2/hello/manifests/v1')
  const answer = await server.get(`/v2/hello/blobs/${manifest.headers['docker-content-digest']}`)
  expect(answer.status).toBe(200)
  expect(answer.body.equals(manifest.body)).toBe(true)
})

// https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
test.each([`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, '*'])(
  'GET and HEAD blob with If-None-Match: %s answer 304 without a body',
  async (value) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await server.send(method, path, { 'If-None-Match': value })
      expect(answer.status).toBe(304)
      expect(answer.body.length).toBe(0)
      expect(answer.headers.etag).toBe(`"${digest}"`)
      expect(answer.headers['content-length']).toBeUndefined()
    }
  },
)

test('GET blob with If-None-Match of another ETag answers the blob', async () => {
  const answer = await server.get(path, { 'If-None-Match': `"sha256:${'f'.repeat(64)}"` })
  expect(answer.status).toBe(200)
  expect(answer.body.length).toBe(bytes.length)
})

test.each([`sha256:${'f'.repeat(64)}`, `sha512:${'f'.repeat(128)}`])(
  'GET and HEAD of the unknown blob %s answer 404 BLOB_UNKNOWN',
  async (unknown) => {
    const get = await server.get(`/v2/hello/blobs/${unknown}`)
    const head = await server.head(`/v2/hello/blobs/${unknown}`)
    expect(get.status).toBe(404)
    expect(registryError(get)).toMatchObject({
      code: 'BLOB_UNKNOWN',
      message: expect.stringContaining(unknown),
      detail: { digest: unknown },
    })
    expect(head.status).toBe(404)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  },
)

test('the answer to an unknown blob is not cacheable and has no ETag', async () => {
  const { headers } = await server.get(`/v2/hello/blobs/sha256:${'f'.repeat(64)}`)
  expect(headers['cache-control']).toBe('no-store')
  expect(headers.etag).toBeUndefined()
  expect(headers['docker-content-digest']).toBeUndefined()
})

test.each(['sha256:abc', 'latest', `sha256:${'F'.repeat(64)}`, `md5:${'f'.repeat(32)}`])(
  'GET and HEAD of the invalid digest %s answer 400 DIGEST_INVALID',
  async (text) => {
    const answer = await server.get(`/v2/hello/blobs/${text}`)
    expect(answer.status).toBe(400)
    expect(registryError(answer).code).toBe('DIGEST_INVALID')
    expect((await server.head(`/v2/hello/blobs/${text}`)).status).toBe(400)
  },
)

test('a lost blob answers 404 BLOB_UNKNOWN until the next pull of its image', async () => {
  const manifest = await server.get('/v2/zlib/manifests/v1')
  const lost = blobsOf({ bytes: manifest.body }).layers[0] as Digest
  await server.bench.loseBlob(lost)
  const answer = await server.get(`/v2/zlib/blobs/${lost}`)
  expect(answer.status).toBe(404)
  expect(registryError(answer).code).toBe('BLOB_UNKNOWN')
  const again = await server.get('/v2/zlib/manifests/v1')
  expect(again.body.equals(manifest.body)).toBe(true)
  expect((await server.get(`/v2/zlib/blobs/${lost}`)).status).toBe(200)
})

test('a small blob that is lost between stat and open answers 404 BLOB_UNKNOWN', async () => {
  const manifest = await server.get('/v2/cacert/manifests/v1')
  const lost = blobsOf({ bytes: manifest.body }).layers[0] as Digest
  server.bench.store.before = async (operation, key) => {
    if (operation === 'get' && key.endsWith(hexOf(lost))) await server.bench.loseBlob(lost)
  }
  const answer = await server.get(`/v2/cacert/blobs/${lost}`)
  server.bench.store.before = () => {}
  expect(answer.status).toBe(404)
  expect(registryError(answer).code).toBe('BLOB_UNKNOWN')
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' })
  expect(answer.headers.etag).toBeUndefined()
  expect((await server.get('/v2/cacert/manifests/v1')).status).toBe(200)
  expect((await server.get(`/v2/cacert/blobs/${lost}`)).status).toBe(200)
})

test.each([
  ['pieces', () => server, 'read'],
  ['a stream', () => streaming, 'get'],
])(
  'a large blob that is lost between stat and open answers 404, from %s',
  async (_, on, operation) => {
    const { bench } = on()
    const lost = await bench.putBlob(Buffer.alloc(2_000_000, operation))
    bench.store.before = async (begun) => {
      if (begun === operation) await bench.loseBlob(lost)
    }
    for (const headers of [{}, { Range: 'bytes=5-' }]) {
      const answer = await on().get(`/v2/hello/blobs/${lost}`, headers)
      expect(answer.status).toBe(404)
      expect(registryError(answer).code).toBe('BLOB_UNKNOWN')
      expect(answer.headers.etag).toBeUndefined()
      expect(answer.headers['content-range']).toBeUndefined()
      await bench.putBlob(Buffer.alloc(2_000_000, operation))
    }
    bench.store.before = () => {}
  },
)

test('a blob that was cut short in the storage answers 404 BLOB_UNKNOWN', async () => {
  await using other = await RegistryServer.start()
  const manifest = await other.get('/v2/git/manifests/v1')
  const cut = blobsOf({ bytes: manifest.body }).layers[0] as Digest
  await other.bench.disk.put(`blobs/sha256/${hexOf(cut)}`, Buffer.from('short'))
  const answer = await other.get(`/v2/git/blobs/${cut}`)
  expect(answer.status).toBe(404)
  expect(registryError(answer).code).toBe('BLOB_UNKNOWN')
})

test('GET blob is redirected to a store that gives URLs, without caching', async () => {
  const answer = await redirecting.get(path)
  expect(answer.status).toBe(307)
  expect(answer.headers.location).toBe(signedUrl)
  // A signed URL expires, so a cached redirect would fail.
  expect(answer.headers['cache-control']).toBe('no-store')
})

test('HEAD and 304 of a blob are answered without a redirect', async () => {
  expect(await redirecting.head(path)).toMatchObject({
    status: 200,
    headers: { 'content-length': String(bytes.length), 'docker-content-digest': digest },
  })
  expect((await redirecting.get(path, { 'If-None-Match': `"${digest}"` })).status).toBe(304)
})

test('GET of an unknown blob is not redirected', async () => {
  const answer = await redirecting.get(`/v2/hello/blobs/sha256:${'f'.repeat(64)}`)
  expect(answer.status).toBe(404)
})

test('GET manifest is not redirected', async () => {
  const answer = await redirecting.get('/v2/hello/manifests/v1')
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe(mediaTypes.ociManifest)
})
