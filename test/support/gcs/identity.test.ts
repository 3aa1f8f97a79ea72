import { createPublicKey, sign, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type GetSignedUrlConfig, Storage } from '@google-cloud/storage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TemporaryFolder } from '../temporary-folder.ts'
import { errorOf, objectUrl, put, startUpload } from './by-hand.ts'
import { GcsEmulator } from './emulator.ts'

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
  emulator.writeObject('a', 'content')
})
afterEach(() => emulator[Symbol.asyncDispose]())

const hour = 3_600_000

interface Claims {
  readonly iss?: string
  readonly aud?: string
  readonly scope?: string
  readonly iat?: number
  readonly exp?: number
}

function assertion(claims: Claims = {}, alg = 'RS256'): string {
  const { client_email: iss, private_key, token_uri: aud } = emulator.credentials
  const iat = Math.floor(Date.now() / 1000)
  const scope = 'https://www.googleapis.com/auth/devstorage.read_write'
  const payload = { iss, aud, scope, iat, exp: iat + 3600, ...claims }
  const signed = [{ alg, typ: 'JWT' }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = sign('RSA-SHA256', Buffer.from(signed), private_key)
  return `${signed}.${signature.toString('base64url')}`
}

function exchange(jwt: string): Promise<Response> {
  const grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  const body = new URLSearchParams({ grant_type, assertion: jwt })
  return fetch(emulator.credentials.token_uri, { method: 'POST', body })
}

async function tokenOf(response: Response): Promise<string> {
  return ((await response.json()) as { access_token: string }).access_token
}

function read(token?: string): Promise<Response> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  return fetch(objectUrl(emulator, 'a'), { headers })
}

test('the key is that of a service account', async () => {
  await using folder = await TemporaryFolder.create()
  const path = join(folder.path, 'key.json')
  await emulator.writeKey(path)
  const key = JSON.parse(await readFile(path, 'utf8'))
  expect(key).toMatchObject({
    type: 'service_account',
    project_id: 'test',
    token_uri: `${emulator.url}/token`,
  })
  expect(createPublicKey(key.private_key).asymmetricKeyDetails?.modulusLength).toBe(2048)
})

describe('a token', () => {
  test('is given for an assertion, and accepted until it expires', async () => {
    const response = await exchange(assertion())
    expect(response.status).toBe(200)
    const token = await tokenOf(response)
    expect((await read(token)).status).toBe(200)
    emulator.clock = hour + 1
    expect(await errorOf(await read(token))).toEqual({ status: 401, reason: 'authError' })
    expect(emulator.violations).toEqual([])
  })

  test.each([
    ['signed with another algorithm', () => assertion({}, 'HS256')],
    ['of another issuer', () => assertion({ iss: 'x' })],
    ['for another audience', () => assertion({ aud: 'x' })],
    ['that has expired', () => assertion({ iat: 1000, exp: 2000 })],
    ['that lasts too long', () => assertion({ exp: Math.floor(Date.now() / 1000) + 7200 })],
    ['of the future', () => assertion({ iat: Math.floor(Date.now() / 1000) + 600 })],
    ['without a scope', () => assertion({ scope: '' })],
    [
      'with the signature of another',
      () => assertion().replace(/[^.]*$/, assertion({ scope: 'x' }).split('.')[2] ?? ''),
    ],
    ['that is none', () => 'x'],
  ])('is not given for an assertion %s', async (_, make) => {
    const response = await exchange(make())
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
    expect(emulator.violations).toHaveLength(1)
  })

  test('is not needed by default, but must be good if it is sent', async () => {
    expect((await read()).status).toBe(200)
    expect((await read('x')).status).toBe(401)
    expect((await read(assertion())).status).toBe(200)
  })

  test('can be made necessary, but for sessions of uploads', async () => {
    const token = await tokenOf(await exchange(assertion()))
    emulator.settings.requireAuthorization = true
    expect((await read()).status).toBe(401)
    expect((await read(token)).status).toBe(200)
    const headers = { Authorization: `Bearer ${token}` }
    await expect(startUpload(emulator, 'b')).rejects.toThrow('authError')
    const session = await startUpload(emulator, 'b', { headers })
    expect((await put(session, 'bytes 0-*/*', 'x')).status).toBe(200)
  })
})

describe('signBlob', () => {
  const url = (email = emulator.credentials.client_email) =>
    `${emulator.url}/v1/projects/-/serviceAccounts/${email}:signBlob`
  const body = JSON.stringify({ payload: Buffer.from('blob').toString('base64') })

  test('signs with the key of the account', async () => {
    const Authorization = `Bearer ${await tokenOf(await exchange(assertion()))}`
    const response = await fetch(url(), { method: 'POST', headers: { Authorization }, body })
    const { keyId, signedBlob } = (await response.json()) as { keyId: string; signedBlob: string }

    expect(keyId).toBe(emulator.credentials.private_key_id)
    const key = createPublicKey(emulator.credentials.private_key)
    const signature = Buffer.from(signedBlob, 'base64')
    expect(verify('RSA-SHA256', Buffer.from('blob'), key, signature)).toBe(true)
    expect(emulator.counts()).toEqual({ token: 1, sign: 1 })
  })

  test('not for the anonymous, nor for other accounts', async () => {
    expect((await fetch(url(), { method: 'POST', body })).status).toBe(401)
    const headers = { Authorization: `Bearer ${await tokenOf(await exchange(assertion()))}` }
    expect((await fetch(url('x@y'), { method: 'POST', headers, body })).status).toBe(404)
  })
})

test('the metadata server tells who a machine is, to those who ask as they should', async () => {
  const ask = (path: string, headers: Record<string, string> = { 'Metadata-Flavor': 'Google' }) =>
    fetch(`${emulator.url}/computeMetadata/v1/${path}`, { headers })
  const email = await ask('instance/service-accounts/default/email')
  expect([await email.text(), email.headers.get('metadata-flavor')]).toEqual([
    emulator.credentials.client_email,
    'Google',
  ])
  const token = await tokenOf(await ask('instance/service-accounts/default/token'))
  expect((await read(token)).status).toBe(200)
  expect((await ask('instance', {})).status).toBe(403)
  expect((await ask('instance/other')).status).toBe(404)
})

describe('the client signs without a key', () => {
  afterEach(() => vi.unstubAllEnvs())

  async function signedWith(
    type: 'impersonated_service_account' | 'external_account' | undefined,
    options: Partial<GetSignedUrlConfig> = {},
  ): Promise<Response> {
    await using folder = await TemporaryFolder.create()
    const path = join(folder.path, 'credentials.json')
    if (type) await emulator.writeKeylessCredentials(path, type)
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', type && path)
    const storage = new Storage({ apiEndpoint: emulator.url, projectId: 'test' })
    const expires = Date.now() + 60_000
    const [url] = await storage
      .bucket('layers')
      .file('a')
      .getSignedUrl({ version: 'v4', action: 'read', expires, ...options })
    return fetch(url)
  }

  test('as an impersonated service account, all URLs from the credentials file', async () => {
    const response = await signedWith('impersonated_service_account')
    expect(await response.text()).toBe('content')
    expect(emulator.counts()).toEqual({ identity: 1, token: 1, sign: 1, 'signed-get': 1 })
    expect(emulator.violations).toEqual([])
  })

  test('as a workload of another provider, if it is told where signatures are made', async () => {
    const signingEndpoint = `${emulator.url}/v1/projects/-/serviceAccounts/`
    const response = await signedWith('external_account', { signingEndpoint })
    expect(await response.text()).toBe('content')
    expect(emulator.counts()).toEqual({ identity: 1, token: 2, sign: 1, 'signed-get': 1 })
  })

  test('as a machine of Google, likewise', async () => {
    vi.stubEnv('GCE_METADATA_HOST', `127.0.0.1:${emulator.port}`)
    vi.stubEnv('METADATA_SERVER_DETECTION', 'assume-present')
    // No file of whoever runs the tests.
    vi.stubEnv('HOME', '/nonexistent')
    const signingEndpoint = `${emulator.url}/v1/projects/-/serviceAccounts/`
    const response = await signedWith(undefined, { signingEndpoint })
    expect(await response.text()).toBe('content')
    expect(emulator.counts()).toMatchObject({ sign: 1, 'signed-get': 1 })
  })
})
