// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, hexOf, mediaTypes, sha256Digest } from '../../../service/image/descriptor.ts'
import { contentHeaders, RegistryServer, registryError } from '../../support/registry-server.ts'
import { blobsOf } from '../../support/workbench.ts'

let server: RegistryServer
const bytes = randomBytes(3_000_000)
const digest = sha256Digest(bytes)
const path = `/v2/hello/blobs/${digest}`

beforeAll(async () => {
  server = await RegistryServer.start()
  await server.bench.putBlob(bytes)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('a blob', () => {
  test('has its bytes, and headers that say the truth about them', async () => {
    const answer = await server.get(path)
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
  })

  test('has the same headers on HEAD, and no body', async () => {
    const [get, head] = [await server.get(path), await server.head(path)]
    expect(head.status).toBe(200)
    expect(head.body.length).toBe(0)
    expect(contentHeaders(head)).toEqual(contentHeaders(get))
  })

  test('is the same whatever Accept and Accept-Encoding say', async () => {
    for (const headers of [{ Accept: 'application/json' }, { 'Accept-Encoding': 'gzip, br' }]) {
      const answer = await server.get(path, headers)
      expect(answer.status).toBe(200)
      expect(answer.headers['content-encoding']).toBeUndefined()
      expect(answer.body.equals(bytes)).toBe(true)
    }
  })

  test('is found under any well-formed name: a digest says it all', async () => {
    expect((await server.head(`/v2/some/other/name/blobs/${digest}`)).status).toBe(200)
  })

  test('may be empty', async () => {
    const empty = await server.bench.putBlob(Buffer.alloc(0))
    const answer = await server.get(`/v2/hello/blobs/${empty}`)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-length']).toBe('0')
    expect(answer.body.length).toBe(0)
  })

  test('follows another on one connection', async () => {
    const answers = []
    for (let count = 0; count < 3; count++) {
      const answer = await fetch(server.url + path)
      answers.push(sha256Digest(await answer.bytes()))
    }
    expect(answers).toEqual([digest, digest, digest])
  })
})

test('every blob that a manifest names can be pulled, and is what it says', async () => {
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

test('a manifest is a blob too', async () => {
  const manifest = await server.get('/v2/hello/manifests/v1')
  const answer = await server.get(`/v2/hello/blobs/${manifest.headers['docker-content-digest']}`)
  expect(answer.status).toBe(200)
  expect(answer.body.equals(manifest.body)).toBe(true)
})

// https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
test.each([`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, '*'])(
  'If-None-Match: %s is answered 304, without a body',
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

test('If-None-Match with another ETag is answered with the blob', async () => {
  const answer = await server.get(path, { 'If-None-Match': `"sha256:${'f'.repeat(64)}"` })
  expect(answer.status).toBe(200)
  expect(answer.body.length).toBe(bytes.length)
})

describe('a blob that is not there', () => {
  test.each([`sha256:${'f'.repeat(64)}`, `sha512:${'f'.repeat(128)}`])(
    '%s is answered 404 BLOB_UNKNOWN, by GET and HEAD alike',
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

  test('is not said to be cacheable, nor what it would have been', async () => {
    const { headers } = await server.get(`/v2/hello/blobs/sha256:${'f'.repeat(64)}`)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers.etag).toBeUndefined()
    expect(headers['docker-content-digest']).toBeUndefined()
  })
})

test.each(['sha256:abc', 'latest', `sha256:${'F'.repeat(64)}`, `md5:${'f'.repeat(32)}`])(
  '%s is an invalid digest',
  async (text) => {
    for (const answer of [
      await server.get(`/v2/hello/blobs/${text}`),
      await server.head(`/v2/hello/blobs/${text}`),
    ]) {
      expect(answer.status).toBe(400)
    }
    const answer = await server.get(`/v2/hello/blobs/${text}`)
    expect(registryError(answer).code).toBe('DIGEST_INVALID')
  },
)

describe('a lost blob', () => {
  test('is answered 404 BLOB_UNKNOWN, and the next pull of its image brings it back', async () => {
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

  test('that is lost between looking and opening is no less lost', async () => {
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
})

describe('a store that gives URLs', () => {
  const signed = 'https://bucket.example/a%20b?X-Goog-Signature=abc%2Fdef&X-Goog-Expires=600'
  let redirecting: RegistryServer

  beforeAll(async () => {
    redirecting = await RegistryServer.start({ redirectTo: signed })
    await redirecting.bench.putBlob(bytes)
  })
  afterAll(() => redirecting[Symbol.asyncDispose]())

  test('has clients redirected there, for now', async () => {
    const answer = await redirecting.get(path)
    expect(answer.status).toBe(307)
    expect(answer.headers.location).toBe(signed)
    // A signed URL expires: who kept the redirect would be stuck with it.
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('has HEAD and 304 answered here', async () => {
    expect(await redirecting.head(path)).toMatchObject({
      status: 200,
      headers: { 'content-length': String(bytes.length), 'docker-content-digest': digest },
    })
    expect((await redirecting.get(path, { 'If-None-Match': `"${digest}"` })).status).toBe(304)
  })

  test('is not sent clients for a blob that it does not have', async () => {
    const answer = await redirecting.get(`/v2/hello/blobs/sha256:${'f'.repeat(64)}`)
    expect(answer.status).toBe(404)
  })

  test('has manifests answered here', async () => {
    const answer = await redirecting.get('/v2/hello/manifests/v1')
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe(mediaTypes.ociManifest)
  })
})
