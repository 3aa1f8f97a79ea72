import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { errorOf, objectUrl, uploadMedia } from './by-hand.ts'
import { GcsEmulator } from './emulator.ts'

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
})
afterEach(() => emulator[Symbol.asyncDispose]())

const md5Hash = createHash('md5').update('0123456789').digest('base64')

describe('metadata', () => {
  test('of an object, whose name is encoded whole', async () => {
    emulator.writeObject('blobs/sha256/ab?#é', '0123456789', { contentType: 'text/plain' })
    const url = objectUrl(emulator, 'blobs%2Fsha256%2Fab%3F%23%C3%A9')
    const response = await fetch(url)
    const resource = (await response.json()) as Record<string, string>

    expect(response.headers.get('content-type')).toMatch('application/json')
    expect(resource).toMatchObject({
      name: 'blobs/sha256/ab?#é',
      bucket: 'layers',
      size: '10',
      contentType: 'text/plain',
      md5Hash,
      selfLink: url.replace('?', ''),
    })
    expect(resource.timeCreated).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
    expect(resource.etag).toBeTruthy()
    expect(emulator.requests).toMatchObject([
      { kind: 'metadata', method: 'GET', key: 'blobs/sha256/ab?#é', status: 200, bytesIn: 0 },
    ])
  })

  test('by HEAD: the head alone', async () => {
    emulator.writeObject('a', 'x')
    const response = await fetch(objectUrl(emulator, 'a'), { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('of an object that is not there', async () => {
    const response = await fetch(objectUrl(emulator, 'a'))
    expect(await response.json()).toEqual({
      error: {
        code: 404,
        message: 'No such object: layers/a',
        errors: [{ message: 'No such object: layers/a', domain: 'global', reason: 'notFound' }],
      },
    })
  })

  test('in another bucket', async () => {
    const url = objectUrl(emulator, 'a').replace('/layers/', '/other/')
    expect(await errorOf(await fetch(url))).toEqual({ status: 404, reason: 'notFound' })
  })

  test('can be changed', async () => {
    const fields = { contentType: 'text/plain', metadata: { one: '1', two: '2' } }
    emulator.writeObject('a', 'x', fields)
    const body = JSON.stringify({ cacheControl: 'no-store', metadata: { one: null, three: '3' } })
    const response = await fetch(objectUrl(emulator, 'a'), { method: 'PATCH', body })

    const changed = {
      contentType: 'text/plain',
      cacheControl: 'no-store',
      metadata: { two: '2', three: '3' },
      metageneration: '2',
    }
    expect(await response.json()).toMatchObject(changed)
    const after = (await (await fetch(objectUrl(emulator, 'a'))).json()) as typeof changed
    expect(after).toMatchObject(changed)
    expect(Object.keys(after.metadata)).toEqual(['two', 'three'])
  })
})

describe('content', () => {
  test('whole, with what a client verifies it by', async () => {
    emulator.writeObject('a', '0123456789', { contentType: 'text/plain', cacheControl: 'no-store' })
    const response = await fetch(objectUrl(emulator, 'a', { alt: 'media' }))

    expect(await response.text()).toBe('0123456789')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-length': '10',
      'content-type': 'text/plain',
      'cache-control': 'no-store',
      'x-goog-hash': `crc32c=KAwGng==,md5=${md5Hash}`,
      'x-goog-generation': String(emulator.objects()[0]?.generation),
      'x-goog-metageneration': '1',
      'x-goog-stored-content-encoding': 'identity',
      'x-goog-stored-content-length': '10',
    })
    expect(emulator.requests).toMatchObject([{ kind: 'download', status: 200, bytesOut: 10 }])
  })

  test.each([
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=3-5', '345', 'bytes 3-5/10'],
    ['bytes=8-', '89', 'bytes 8-9/10'],
    ['bytes=8-100', '89', 'bytes 8-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-100', '0123456789', 'bytes 0-9/10'],
  ])('a range: %s', async (Range, content, range) => {
    emulator.writeObject('a', '0123456789')
    const url = objectUrl(emulator, 'a', { alt: 'media' })
    const response = await fetch(url, { headers: { Range } })
    expect([response.status, await response.text()]).toEqual([206, content])
    expect(response.headers.get('content-range')).toBe(range)
  })

  test.each(['bytes=5-3', 'lines=1-2', 'bytes=1-2,4-5'])(
    'all of it for what is no range: %s',
    async (Range) => {
      emulator.writeObject('a', '0123456789')
      const url = objectUrl(emulator, 'a', { alt: 'media' })
      const response = await fetch(url, { headers: { Range } })
      expect([response.status, await response.text()]).toEqual([200, '0123456789'])
    },
  )

  test.each([
    ['bytes=10-', '0123456789', 'bytes */10'],
    ['bytes=0-', '', 'bytes */0'],
  ])('a range behind the end: %s of %j', async (Range, content, range) => {
    emulator.writeObject('a', content)
    const url = objectUrl(emulator, 'a', { alt: 'media' })
    const response = await fetch(url, { headers: { Range } })
    expect([response.status, response.headers.get('content-range')]).toEqual([416, range])
  })

  test('empty', async () => {
    emulator.writeObject('a', '')
    const response = await fetch(objectUrl(emulator, 'a', { alt: 'media' }))
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('of an object that is not there: the error is text', async () => {
    const response = await fetch(objectUrl(emulator, 'a', { alt: 'media' }))
    expect([response.status, await response.text()]).toEqual([404, 'No such object: layers/a'])
  })

  test('survives that the object is overwritten and deleted meanwhile', async () => {
    const content = Buffer.alloc(8 << 20, 'before')
    emulator.writeObject('a', content)
    const response = await fetch(objectUrl(emulator, 'a', { alt: 'media' }))
    emulator.writeObject('a', 'after')
    emulator.deleteObject('a')
    expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true)
  })
})

describe('preconditions', () => {
  test.each([
    ['GET', { ifGenerationMatch: '1' }, 412],
    ['GET', { ifMetagenerationMatch: '2' }, 412],
    ['GET', { ifMetagenerationNotMatch: '1' }, 304],
    ['GET', { generation: '1' }, 404],
    ['PATCH', { ifMetagenerationMatch: '2' }, 412],
    ['DELETE', { ifGenerationMatch: '1' }, 412],
    ['DELETE', { generation: '1' }, 404],
    ['DELETE', { ifMetagenerationMatch: '1' }, 204],
  ])('%s with %j', async (method, query, status) => {
    emulator.writeObject('a', 'x')
    const response = await fetch(objectUrl(emulator, 'a', query), { method })
    expect(response.status).toBe(status)
    expect(emulator.objects()).toHaveLength(status === 204 ? 0 : 1)
  })

  test('that hold', async () => {
    emulator.writeObject('a', 'x')
    const ifGenerationMatch = String(emulator.objects()[0]?.generation)
    const url = objectUrl(emulator, 'a', { ifGenerationMatch })
    expect((await fetch(url)).status).toBe(200)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204)
    expect(await errorOf(await fetch(url, { method: 'DELETE' }))).toMatchObject({ status: 404 })
  })
})

describe('a copy', () => {
  const rewrite = (from: string, to: string, query: Record<string, string> = {}, body = '') =>
    fetch(objectUrl(emulator, `${from}/rewriteTo/b/layers/o/${to}`, query), {
      method: 'POST',
      body,
    })

  test('has content and metadata of its source', async () => {
    emulator.writeObject('a/b', 'x', { contentType: 'text/plain' })
    const response = await rewrite('a%2Fb', 'c%2Fd')
    expect(await response.json()).toMatchObject({
      kind: 'storage#rewriteResponse',
      totalBytesRewritten: '1',
      objectSize: '1',
      done: true,
      resource: { name: 'c/d', contentType: 'text/plain', size: '1' },
    })
    emulator.deleteObject('a/b')
    expect(emulator.read('c/d').toString()).toBe('x')
    expect(emulator.requests).toMatchObject([{ kind: 'copy', key: 'a/b' }])
  })

  test('has other metadata if that is sent', async () => {
    emulator.writeObject('a', 'x', { contentType: 'text/plain', cacheControl: 'no-store' })
    await rewrite('a', 'b', {}, '{"contentType":"text/html"}')
    expect(emulator.objects()[1]).toMatchObject({
      contentType: 'text/html',
      cacheControl: undefined,
    })
  })

  test.each([
    [{ ifGenerationMatch: '0' }, 412],
    [{ ifSourceGenerationMatch: '1' }, 412],
    [{ sourceGeneration: '1' }, 404],
    [{}, 200],
  ])('with %j over an object: %i', async (query, status) => {
    emulator.writeObject('a', 'new')
    emulator.writeObject('b', 'old')
    expect((await rewrite('a', 'b', query)).status).toBe(status)
    expect(emulator.read('b').toString()).toBe(status === 200 ? 'new' : 'old')
  })
})

describe('the bucket', () => {
  test('tells about itself', async () => {
    const response = await fetch(`${emulator.url}/storage/v1/b/layers`)
    expect(await response.json()).toMatchObject({ kind: 'storage#bucket', name: 'layers' })
    expect(emulator.counts()).toEqual({ bucket: 1 })
  })

  test('may be closed to a caller who may use its objects', async () => {
    emulator.settings.permissions.delete('storage.buckets.get')
    emulator.writeObject('a', 'x')
    const response = await fetch(`${emulator.url}/storage/v1/b/layers`)
    expect(await errorOf(response)).toEqual({ status: 403, reason: 'forbidden' })
    expect((await fetch(objectUrl(emulator, 'a'))).status).toBe(200)
  })

  test('says which permissions a caller has', async () => {
    emulator.settings.permissions.delete('storage.objects.delete')
    const url = `${emulator.url}/storage/v1/b/layers/iam/testPermissions`
    const query = 'permissions=storage.objects.get&permissions=storage.objects.delete'
    expect(await (await fetch(`${url}?${query}`)).json()).toEqual({
      kind: 'storage#testIamPermissionsResponse',
      permissions: ['storage.objects.get'],
    })
  })

  test('is not there under another name', async () => {
    expect((await fetch(`${emulator.url}/storage/v1/b/other`)).status).toBe(404)
    expect((await fetch(`${emulator.url}/storage/v1/b/other/iam/testPermissions`)).status).toBe(404)
  })
})

describe('without the permission', () => {
  test.each([
    ['storage.objects.get', () => fetch(objectUrl(emulator, 'a'))],
    ['storage.objects.get', () => fetch(objectUrl(emulator, 'a', { alt: 'media' }))],
    ['storage.objects.create', () => uploadMedia(emulator, 'b', 'x')],
    // An object that is overwritten is deleted.
    ['storage.objects.delete', () => uploadMedia(emulator, 'a', 'x')],
    ['storage.objects.delete', () => fetch(objectUrl(emulator, 'a'), { method: 'DELETE' })],
    ['storage.objects.list', () => fetch(`${emulator.url}/storage/v1/b/layers/o`)],
    // Else one could find out what there is.
    ['storage.objects.list', () => fetch(objectUrl(emulator, 'missing'))],
    [
      'storage.objects.update',
      () => fetch(objectUrl(emulator, 'a'), { method: 'PATCH', body: '{}' }),
    ],
  ] as const)('%s: 403', async (permission, act) => {
    emulator.writeObject('a', 'before')
    emulator.settings.permissions.delete(permission)
    expect((await act()).status).toBe(403)
    expect(emulator.read('a').toString()).toBe('before')
  })
})

test('objects can be damaged from outside', async () => {
  emulator.writeObject('a', '0123456789', { contentType: 'text/plain' })
  const before = emulator.objects()[0]
  emulator.truncate('a', 4)
  expect(emulator.read('a').toString()).toBe('0123')
  expect(emulator.objects()).toMatchObject([{ name: 'a', size: 4, contentType: 'text/plain' }])
  expect(emulator.objects()[0]?.generation).toBeGreaterThan(before?.generation ?? 0)
  emulator.deleteObject('a')
  expect(emulator.objects()).toEqual([])
  expect(() => emulator.read('a')).toThrow('No such object')
})
