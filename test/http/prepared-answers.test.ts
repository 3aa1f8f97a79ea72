/** Answers that are given again without the routes: nobody must be able to tell them from the first. */
import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contentHeaders, RegistryServer } from '../support/registry-server.ts'
import { blobsOf } from '../support/workbench.ts'

const dockerType = 'application/vnd.docker.distribution.manifest.v2+json'
const ociType = 'application/vnd.oci.image.manifest.v1+json'
const path = '/v2/hello/manifests/v1'

let server: RegistryServer
let pulls: string[]
let bytes: number
/** Requests that reached the routes. */
let routed: number

beforeEach(async () => {
  pulls = []
  bytes = 0
  routed = 0
  server = await RegistryServer.start({
    services: {
      onPull: (name, address) => pulls.push(`${name.text} ${address}`),
      onBlobBytes: (count) => {
        bytes += count
      },
    },
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

/** @returns the answers to the same request, the first of which comes from the routes */
async function twice(method: string, where: string, headers: Record<string, string> = {}) {
  const first = await server.send(method, where, headers)
  const before = routed
  const second = await server.send(method, where, headers)
  return { first, second, isPrepared: routed === before }
}

async function someBlob(): Promise<{ digest: string; where: string }> {
  const [digest = ''] = blobsOf({ bytes: (await server.get(path)).body }).layers
  return { digest, where: `/v2/hello/blobs/${digest}` }
}

describe('given again', () => {
  test.each([
    ['without Accept', {}],
    ['with the OCI type', { Accept: ociType }],
    ['with the Docker type', { Accept: dockerType }],
    ['with both', { Accept: `${dockerType}, ${ociType}, */*` }],
  ])('a manifest by tag, %s, is the same, and so are HEAD and 304', async (_, headers) => {
    const { first, second, isPrepared } = await twice('GET', path, headers)
    expect(isPrepared).toBe(true)
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
    // What the routes say of the same: with this header they are asked in any case.
    const asked = await server.send('GET', path, { ...condition, 'Cache-Control': 'max-age=0' })
    expect(asked.status).toBe(304)
    expect(contentHeaders(unchanged)).toEqual(contentHeaders(asked))
  })

  test('a manifest that HEAD asked for first', async () => {
    await server.head(path)
    const before = routed
    const answer = await server.get(path)
    expect(routed).toBe(before)
    expect(answer.body.length).toBe(Number(answer.headers['content-length']))
  })

  test('a manifest by digest', async () => {
    const { headers } = await server.get(path)
    const where = `/v2/hello/manifests/${headers['docker-content-digest']}`
    const { first, second, isPrepared } = await twice('GET', where)
    expect(isPrepared).toBe(true)
    expect(second.body.equals(first.body)).toBe(true)
    expect(contentHeaders(second)).toEqual(contentHeaders(first))
  })

  test('a small blob', async () => {
    const { digest, where } = await someBlob()
    const { first, second, isPrepared } = await twice('GET', where)
    expect(isPrepared).toBe(true)
    expect(second.body.equals(first.body)).toBe(true)
    expect(`sha256:${createHash('sha256').update(second.body).digest('hex')}`).toBe(digest)
    expect(contentHeaders(second)).toEqual(contentHeaders(first))
    expect(bytes).toBe(2 * first.body.length)
  })

  test('a pull is counted each time', async () => {
    for (let times = 0; times < 3; times++) await server.get(path)
    expect(pulls).toHaveLength(3)
    expect(new Set(pulls)).toHaveLength(1)
    expect(pulls[0]).toMatch(/^hello (::ffff:)?127\.0\.0\.1$/)
  })
})

describe('left to the routes is', () => {
  test('another type than the one before', async () => {
    const oci = await server.get(path, { Accept: ociType })
    const docker = await server.get(path, { Accept: dockerType })
    expect(oci.headers['content-type']).toBe(ociType)
    expect(docker.headers['content-type']).toBe(dockerType)
  })

  test('a tag that moved', async () => {
    const first = await server.get(path)
    const { bench } = server
    bench.source.refs.set('v1', bench.source.refs.get('v2') ?? '')
    const moved = await server.get(path)
    const target = await server.get('/v2/hello/manifests/v2')
    expect(moved.headers.etag).toBe(target.headers.etag)
    expect(routed).toBeGreaterThan(2)
    expect(first.status).toBe(200)
  })

  test('a tag that is gone', async () => {
    await server.get(path)
    server.bench.source.refs.delete('v1')
    expect((await server.get(path)).status).toBe(404)
  })

  test('an image of which a blob was found missing', async () => {
    const { digest } = await someBlob()
    server.bench.images.forgetBlob(digest as `sha256:${string}`)
    const before = routed
    expect((await server.get(path)).status).toBe(200)
    expect(routed).toBeGreaterThan(before)
  })

  test.each([
    ['a part of a blob', { Range: 'bytes=0-0' }, 206],
    ['another condition', { 'If-None-Match': '"something else"' }, 200],
    ['a list of conditions', { 'If-None-Match': '"one", "two"' }, 200],
  ])('%s', async (_, headers, status) => {
    const { where } = await someBlob()
    await server.get(where)
    const before = routed
    expect((await server.get(where, headers)).status).toBe(status)
    expect(routed).toBe(before + 1)
  })

  test('what is an error', async () => {
    const { isPrepared, second } = await twice('GET', '/v2/hello/manifests/unknown')
    expect(second.status).toBe(404)
    expect(isPrepared).toBe(false)
  })

  test.each(['PUT', 'DELETE', 'POST', 'PATCH'])('%s', async (method) => {
    await server.get(path)
    expect((await server.send(method, path)).status).toBe(405)
  })
})

test('a blob whose bytes have rotted is answered to nobody, and is built anew', async () => {
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
