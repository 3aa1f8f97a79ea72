import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { type GetSignedUrlConfig, Storage } from '@google-cloud/storage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TemporaryFolder } from '../temporary-folder.ts'
import { GcsEmulator, type ServiceAccountKey } from './emulator.ts'

let emulator: GcsEmulator
let folder: TemporaryFolder
beforeEach(async () => {
  folder = await TemporaryFolder.create()
  emulator = await GcsEmulator.start({ bucket: 'layers' })
  emulator.writeObject('blobs/a b+é', '0123456789', { contentType: 'text/plain' })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await emulator[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const minute = 60_000

/** The client's own signature, so that the two cannot share a mistake. */
async function signed(
  options: Partial<GetSignedUrlConfig> = {},
  credentials: ServiceAccountKey = emulator.credentials,
): Promise<URL> {
  const path = join(folder.path, 'key.json')
  await writeFile(path, JSON.stringify(credentials))
  vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', path)
  const storage = new Storage({ apiEndpoint: emulator.url, projectId: 'test' })
  const [url] = await storage
    .bucket('layers')
    .file('blobs/a b+é')
    .getSignedUrl({ version: 'v4', action: 'read', expires: Date.now() + minute, ...options })
  return new URL(url)
}

async function refusal(url: URL | string, init?: RequestInit): Promise<[number, string]> {
  const response = await fetch(url, init)
  const text = await response.text()
  return [response.status, /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? text]
}

test('gives the object, to whoever has the URL', async () => {
  const response = await fetch(await signed())

  expect([response.status, await response.text()]).toEqual([200, '0123456789'])
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/plain',
    'content-length': '10',
    'accept-ranges': 'bytes',
    etag: '"781e5e245d69b566979b86e28d23f2c7"',
    'x-goog-hash': 'crc32c=KAwGng==, md5=eB5eJF1ptWaXm4bijSPyxw==',
    'x-goog-generation': String(emulator.objects()[0]?.generation),
  })
  expect(emulator.requests).toMatchObject([
    { kind: 'signed-get', key: 'blobs/a b+é', status: 200, bytesOut: 10 },
  ])
  expect(emulator.violations).toEqual([])
})

test('gives a range of it', async () => {
  const response = await fetch(await signed(), { headers: { Range: 'bytes=2-4' } })
  expect([response.status, await response.text()]).toEqual([206, '234'])
  expect(response.headers.get('content-range')).toBe('bytes 2-4/10')
  const beyond = await fetch(await signed(), { headers: { Range: 'bytes=10-' } })
  expect([beyond.status, await beyond.text()]).toEqual([
    416,
    expect.stringContaining('InvalidRange'),
  ])
})

test('holds for further parameters and headers that were signed', async () => {
  const queryParams = { 'response-content-disposition': "attachment; filename*=UTF-8''(a)!" }
  const extensionHeaders = { 'x-goog-meta-a': '  two   words ' }
  const url = await signed({ queryParams, extensionHeaders })
  expect(await refusal(url, { headers: { 'x-goog-meta-a': 'two words' } })).toEqual([
    200,
    '0123456789',
  ])
  expect(await refusal(url, { headers: { 'x-goog-meta-a': 'other words' } })).toEqual([
    403,
    'SignatureDoesNotMatch',
  ])
  expect(await refusal(url)).toEqual([400, 'MalformedSecurityHeader'])
})

describe('is refused', () => {
  test.each([
    ['one digit of the signature', 'X-Goog-Signature'],
    ['the life time', 'X-Goog-Expires'],
  ])('with %s changed', async (_, name) => {
    const url = await signed()
    const value = url.searchParams.get(name) ?? ''
    const last = value.endsWith('1') ? '2' : '1'
    url.searchParams.set(name, value.slice(0, -1) + last)
    expect(await refusal(url)).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test('for another object', async () => {
    emulator.writeObject('blobs/other', 'secret')
    const url = await signed()
    url.pathname = '/layers/blobs/other'
    expect(await refusal(url)).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test('with a parameter more', async () => {
    const url = await signed()
    url.searchParams.append('generation', '1')
    expect(await refusal(url)).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test('with a header of the service that was not signed', async () => {
    const headers = { 'x-goog-user-project': 'other' }
    expect(await refusal(await signed(), { headers })).toEqual([400, 'MalformedSecurityHeader'])
  })

  test('by HEAD, when it was signed for GET', async () => {
    const url = await signed()
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(403)
    expect(emulator.counts()).toEqual({ 'signed-head': 1 })
  })

  test('at another host', async () => {
    const url = await signed()
    const status = await new Promise((resolve) => {
      const { port, pathname, search } = url
      const options = { host: '127.0.0.1', port, path: pathname + search }
      const headers = { Host: `storage.example:${port}` }
      request({ ...options, headers }, (response) => resolve(response.statusCode)).end()
    })
    expect(status).toBe(403)
  })

  test('when it has expired', async () => {
    const url = await signed()
    emulator.clock = minute - 2000
    expect((await fetch(url)).status).toBe(200)
    emulator.clock = minute + 1
    expect(await refusal(url)).toEqual([400, 'ExpiredToken'])
  })

  test('when it is dated a quarter of an hour ahead', async () => {
    const url = await signed()
    emulator.clock = -14 * minute
    expect((await fetch(url)).status).toBe(200)
    emulator.clock = -16 * minute
    expect(await refusal(url)).toEqual([400, 'MalformedSecurityHeader'])
  })

  test.each([
    ['X-Goog-Algorithm', 'GOOG4-HMAC-SHA256'],
    ['X-Goog-Credential', 'x'],
    ['X-Goog-Date', 'today'],
    ['X-Goog-Expires', '604801'],
    ['X-Goog-Expires', '0'],
    ['X-Goog-SignedHeaders', 'accept'],
  ])('with %s=%s', async (name, value) => {
    const url = await signed()
    url.searchParams.set(name, value)
    expect(await refusal(url)).toEqual([400, 'MalformedSecurityHeader'])
  })

  test('by another account', async () => {
    const stranger = { ...emulator.credentials, client_email: 'x@test.iam.gserviceaccount.com' }
    expect((await refusal(await signed({}, stranger)))[0]).toBe(403)
  })

  test('with another key of the account', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const url = await signed({}, { ...emulator.credentials, private_key: pem })
    expect(await refusal(url)).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test('when the account may not read', async () => {
    emulator.settings.permissions.delete('storage.objects.get')
    expect(await refusal(await signed())).toEqual([403, 'AccessDenied'])
  })

  test('when there is no such object', async () => {
    const url = await signed()
    emulator.deleteObject('blobs/a b+é')
    expect(await refusal(url)).toEqual([404, 'NoSuchKey'])
  })
})

describe('without a signature', () => {
  const url = () => `${emulator.url}/layers/blobs/a%20b%2B%C3%A9`

  test('a private bucket refuses', async () => {
    expect(await refusal(url())).toEqual([403, 'AccessDenied'])
    expect((await fetch(url(), { method: 'HEAD' })).status).toBe(403)
  })

  test('a public one gives', async () => {
    emulator.settings.publicRead = true
    expect(await refusal(url())).toEqual([200, '0123456789'])
    const head = await fetch(url(), { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10'])
    expect(await refusal(`${emulator.url}/layers/other`)).toEqual([404, 'NoSuchKey'])
    expect(await refusal(`${emulator.url}/other/blobs`)).toEqual([404, 'NoSuchBucket'])
    expect(emulator.counts()).toEqual({ 'public-get': 3, 'public-head': 1 })
  })
})
