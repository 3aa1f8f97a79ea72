/**
 * The proxy settings of the environment hold for every request to the bucket and to Google's other
 * services.
 */
import { execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { GcsEmulator } from '../../support/gcs/emulator.ts'
import { RecordingProxy } from '../../support/recording-proxy.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

const program = resolve(import.meta.dirname, '../../support/use-bucket.ts')

/** The requests of use-bucket.ts to the bucket, by kind. */
const bucketRequests = {
  permissions: 1,
  metadata: 1,
  upload: 3,
  'upload-start': 1,
  download: 1,
  list: 1,
  delete: 2,
}

// Each test starts a process that loads Google's libraries.
vi.setConfig({ testTimeout: 60_000 })

let compileCache: TemporaryFolder
let folder: TemporaryFolder
let emulator: GcsEmulator
let proxy: RecordingProxy

beforeAll(async () => {
  compileCache = await TemporaryFolder.create()
})
afterAll(() => compileCache[Symbol.asyncDispose]())
beforeEach(async () => {
  folder = await TemporaryFolder.create()
  emulator = await GcsEmulator.start({ bucket: 'layers' })
  await emulator.writeKey(join(folder.path, 'key.json'))
  await emulator.writeKeylessCredentials(join(folder.path, 'keyless.json'))
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await emulator[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
  expect(emulator.violations).toEqual([])
})

/** Runs use-bucket.ts with these variables. @returns its output */
async function useBucket(
  environment: Record<string, string>,
  { credentials = 'keyless.json', endpoint = emulator.url } = {},
): Promise<string> {
  const credentialsPath = join(folder.path, credentials)
  const options = {
    bucket: 'layers',
    credentialsPath,
    signByIam: credentials === 'keyless.json',
    stagingFolder: join(folder.path, 'staging'),
    endpoint,
  }
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: compileCache.path,
    GOOGLE_APPLICATION_CREDENTIALS: credentialsPath,
    ...environment,
  }
  return text(spawn(process.execPath, [program, JSON.stringify(options)], { env }).stdout)
}

test.each(['http_proxy', 'HTTP_PROXY'])(
  'every request to an http endpoint goes through %s',
  async (variable) => {
    proxy = await RecordingProxy.start()
    expect(await useBucket({ [variable]: proxy.url })).toBe('done')
    expect(emulator.counts()).toMatchObject(bucketRequests)
    expect(proxy.requests).toHaveLength(emulator.requests.length)
  },
)

test('no request goes through a proxy to a host that no_proxy names', async () => {
  proxy = await RecordingProxy.start()
  const settings = { http_proxy: proxy.url, https_proxy: proxy.url, no_proxy: '127.0.0.1' }
  expect(await useBucket(settings)).toBe('done')
  expect(emulator.counts()).toMatchObject(bucketRequests)
  expect(proxy.requests).toEqual([])
})

test("every request to Google's own services goes through a tunnel of https_proxy", async () => {
  const certificate = await certificateFor('*.googleapis.com')
  proxy = await RecordingProxy.start({ tlsTarget: { port: emulator.port, ...certificate } })
  const settings = {
    https_proxy: proxy.url,
    // The emulator gives upload sessions a URL on this machine.
    no_proxy: '127.0.0.1',
    NODE_EXTRA_CA_CERTS: certificate.path,
  }
  expect(await useBucket(settings, { credentials: 'key.json', endpoint: '' })).toBe('done')
  expect(emulator.counts()).toEqual({ ...bucketRequests, token: 1 })
  expect(new Set(proxy.requests)).toEqual(
    new Set(['CONNECT oauth2.googleapis.com:443', 'CONNECT storage.googleapis.com:443']),
  )
})

test('the proxy gets the credentials of its URL', async () => {
  proxy = await RecordingProxy.start({ credentials: 'me:s3cr@et' })
  const url = proxy.url.replace('//', '//me:s3cr%40et@')
  expect(await useBucket({ http_proxy: url })).toBe('done')
  expect(proxy.requests).toHaveLength(emulator.requests.length)
})

test('the failure of a proxy that refuses the credentials does not contain them', async () => {
  proxy = await RecordingProxy.start({ credentials: 'me:other' })
  const url = proxy.url.replace('//', '//me:s3cret@')
  const output = await useBucket({ http_proxy: url })
  expect(output).toMatch(/^the bucket layers is out of reach: .*407/)
  expect(output).not.toMatch(/s3cret|bWU6/)
})

test.each(['proxy.example.com:3128', 'me:s3cret@proxy', 'ftp://me:s3cret@proxy', 'http://[s3cret'])(
  'a proxy setting that is not a URL is named and not quoted: %s',
  async (value) => {
    proxy = await RecordingProxy.start()
    expect(await useBucket({ HTTPS_PROXY: value })).toBe(
      'HTTPS_PROXY is not a URL such as http://proxy.example.com:3128',
    )
  },
)

/** Makes a self-signed certificate. */
async function certificateFor(host: string) {
  const path = join(folder.path, 'certificate.pem')
  const keyPath = join(folder.path, 'certificate.key')
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`],
    ...['-out', path, '-keyout', keyPath],
  ])
  return { path, cert: await readFile(path, 'utf8'), key: await readFile(keyPath, 'utf8') }
}
