/** Images in a bucket, with real clients, a real Nix, and an emulator of Google Cloud Storage. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Bucket } from '../support/bucket.ts'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { digestOf, failedRequest, pull, pullManifest, redirectOf } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)
const megabyte = 1_000_000

/** Upper limit of the bytes that a small upload has besides its content: metadata and separators. */
const maxEnvelope = 1000

let packages: PackageSet
/** Compile cache that all services share, so that they start in half the time. */
let compiled: TemporaryFolder

beforeAll(async () => {
  packages = await PackageSet.create()
  compiled = await TemporaryFolder.create()
})
afterAll(async () => {
  await packages?.[Symbol.asyncDispose]()
  await compiled?.[Symbol.asyncDispose]()
})

const sizeOf = (parts: readonly { size: number }[]) =>
  parts.reduce((sum, { size }) => sum + size, 0)

const createBucket = () => Bucket.create({ NODE_COMPILE_CACHE: compiled.path })

const start = (bucket: Bucket, more: Record<string, string> = {}) =>
  bucket.start({ ...bucket.settings(packages.folder), ...more })

describe('clients', () => {
  let bucket: Bucket
  let slipway: Slipway
  let docker: Docker

  beforeAll(async () => {
    bucket = await createBucket()
    docker = await Docker.start()
    slipway = await start(bucket)
  })
  afterAll(async () => {
    await docker?.[Symbol.asyncDispose]()
    await bucket?.[Symbol.asyncDispose]()
  })

  /** Lists the blobs that clients have fetched from the bucket since the ledger was reset. */
  const fetched = () => {
    const served = bucket.emulator.requests.filter(({ kind }) => kind === 'signed-get')
    return served.map(({ key = '' }) => key.replace('blobs/sha256/', 'sha256:')).sort()
  }

  test('docker pulls by redirects and runs the image', async () => {
    const image = `${slipway.registry}/custom-service:release-v1`
    await docker.run('pull', image)
    const { manifest } = await pullManifest(slipway, 'custom-service', 'release-v1')
    const parts = [manifest.config, ...manifest.layers].map(({ digest }) => digest)
    expect(fetched()).toEqual(parts.sort())
    const version = ['custom-service', '--version']
    expect(await docker.run('run', '--rm', '--network', 'none', image, ...version)).toContain('1.0')
  })

  test('skopeo pulls by redirects', async () => {
    const { manifest } = await pullManifest(slipway, 'shell/jq')
    bucket.emulator.resetLedger()
    const target = `dir:${join(bucket.folder, 'copied')}`
    const source = `docker://${slipway.registry}/shell/jq`
    await run('skopeo', ['copy', '--src-tls-verify=false', source, target])
    const parts = [manifest.config, ...manifest.layers].map(({ digest }) => digest)
    expect(fetched()).toEqual(parts.sort())
  })

  test('a warm pull costs no bucket requests but the downloads of the clients', async () => {
    const image = `${slipway.registry}/jq:release-v1`
    await docker.run('pull', image)
    await docker.run('rmi', image)
    bucket.emulator.resetLedger()
    await docker.run('pull', image)
    await pull(slipway, 'jq', 'release-v1')
    // The service writes its own records at any time.
    const requests = Object.keys(bucket.requests())
    const ofPulls = requests.filter((request) => !/ (builds|knowledge|pulls)$/.test(request))
    expect(ofPulls).toEqual(['signed-get blobs'])
  })
})

describe('signed URLs', () => {
  let bucket: Bucket
  let slipway: Slipway
  let url: string

  beforeAll(async () => {
    bucket = await createBucket()
    slipway = await start(bucket)
    const { manifest } = await pullManifest(slipway, 'hello')
    url = await redirectOf(slipway, manifest.config)
  })
  afterAll(async () => bucket?.[Symbol.asyncDispose]())

  const statusOf = async (address: string) => {
    const response = await fetch(address)
    return { status: response.status, text: await response.text() }
  }

  test('a signed URL serves the blob', async () => {
    const { status, text } = await statusOf(url)
    expect(status).toBe(200)
    expect(url).toContain(digestOf(text).replace('sha256:', ''))
  })

  test('a signed URL is refused if any of its characters is changed', async () => {
    const beginning = bucket.emulator.url.length + 1
    const accepted: string[] = []
    for (let at = beginning; at < url.length; at += 1) {
      const other = url[at] === '0' ? '1' : '0'
      const { status } = await statusOf(url.slice(0, at) + other + url.slice(at + 1))
      if (status !== 403 && status !== 400)
        accepted.push(`${status}: ${url.slice(0, at)}[${other}]`)
    }
    expect(accepted).toEqual([])
    // The test has caused these violations.
    bucket.emulator.clearViolations()
    const forged = url.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    expect(await statusOf(forged)).toMatchObject({
      status: 403,
      text: expect.stringContaining('SignatureDoesNotMatch'),
    })
  })

  test('a signed URL is refused after five minutes', async () => {
    try {
      bucket.emulator.clock = 4.9 * 60_000
      expect((await statusOf(url)).status).toBe(200)
      bucket.emulator.clock = 5.1 * 60_000
      expect(await statusOf(url)).toMatchObject({
        status: 400,
        text: expect.stringContaining('ExpiredToken'),
      })
    } finally {
      bucket.emulator.clock = 0
    }
  })

  test('a URL without signature is refused', async () => {
    const { origin, pathname } = new URL(url)
    expect((await statusOf(origin + pathname)).status).toBe(403)
  })
})

describe('uploads', () => {
  let bucket: Bucket
  let slipway: Slipway
  const image = 'shell/git/custom-service'
  const documents = ['the config', 'the OCI manifest', 'the Docker manifest']

  beforeAll(async () => {
    bucket = await createBucket()
    slipway = await start(bucket)
  })
  afterAll(async () => bucket?.[Symbol.asyncDispose]())

  /** Checks that exactly the new blobs were uploaded, each once. Returns their number. */
  function uploaded(before: readonly string[] = []): number {
    const { emulator } = bucket
    const fresh = emulator
      .objects()
      .filter(({ name }) => name.startsWith('blobs/') && !before.includes(name))
    const names = fresh.map(({ name }) => name)
    expect([...bucket.arrived().keys()].sort()).toEqual(names.sort())
    const size = sizeOf(fresh)
    const arrived = bucket.arrived().values()
    const bytes = arrived.reduce((sum, count) => sum + count, 0)
    expect(bytes).toBeGreaterThanOrEqual(size)
    expect(bytes).toBeLessThanOrEqual(size + maxEnvelope * names.length)
    return names.length
  }

  test('each blob of an image is uploaded once', async () => {
    const { manifest } = await pull(slipway, image, 'release-v1')
    expect(uploaded()).toBe(manifest.layers.length + documents.length)
  })

  test('after a restart a stored image uploads nothing', async () => {
    await slipway.stop()
    slipway = await start(bucket)
    bucket.emulator.resetLedger()
    await pull(slipway, image, 'release-v1')
    expect(uploaded(bucket.names('blobs'))).toBe(0)
  })

  test('a release in which one package changed uploads only its new layers, config and manifests', async () => {
    const before = bucket.names('blobs')
    const { manifest: old } = await pull(slipway, image, 'release-v1')
    bucket.emulator.resetLedger()
    const { manifest } = await pull(slipway, image, 'release-v2')
    const known = new Set(old.layers.map(({ digest }) => digest))
    const fresh = manifest.layers.filter(({ digest }) => !known.has(digest))
    expect(fresh.length).toBeGreaterThan(0)
    expect(sizeOf(fresh)).toBeLessThan(sizeOf(old.layers) / 10)
    expect(uploaded(before)).toBe(fresh.length + documents.length)
  })

  test('the same packages at another tag upload nothing', async () => {
    const { digest } = await pull(slipway, 'shell/git', 'release-v1')
    bucket.emulator.resetLedger()
    expect((await pull(slipway, 'shell/git', 'release-v2')).digest).toBe(digest)
    expect([...bucket.arrived().keys()].filter((name) => name.startsWith('blobs/'))).toEqual([])
  })
})

describe('libraries of the bucket', () => {
  test('the libraries of the bucket are loaded only if a bucket is configured', async () => {
    await using bucket = await createBucket()
    await using workspace = await Workspace.create()
    const hook = pathToFileURL(resolve(import.meta.dirname, '../support/loaded-modules.ts'))
    const loaded = async (settings: Record<string, string>) => {
      const list = join(workspace.folder, 'loaded')
      await writeFile(list, '')
      const environment = { NODE_OPTIONS: `--import=${hook}`, LOADED_MODULES: list }
      await (await Slipway.start({ ...settings, ...environment })).stop()
      return readFile(list, 'utf8')
    }
    const library = /node_modules\/(@google-cloud|google-auth-library|gaxios|undici)\//
    expect(await loaded(bucket.settings(packages.folder))).toMatch(library)
    const local = await loaded(workspace.settings(packages.folder))
    expect(local).toContain('adapters/filesystem/filesystem-store.ts')
    expect(local).not.toMatch(library)
  })
})

describe.concurrent('start', () => {
  const failure = async (bucket: Bucket, more: Record<string, string> = {}) =>
    Slipway.fail({ ...bucket.settings(packages.folder), ...more })

  test('the start fails if GCS_BUCKET is missing, invalid or names no bucket', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    expect(await failure(bucket, { GCS_BUCKET: 'other' })).toEqual({
      code: 1,
      stderr:
        'slipway: GCS_BUCKET="other": there is no such bucket; create it, or name one that exists',
    })
    expect(await failure(bucket, { GCS_BUCKET: '' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('GCS_BUCKET: is not set'),
    })
    expect(await failure(bucket, { GCS_BUCKET: 'gs://layers' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('GCS_BUCKET="gs://layers": must be the name of a bucket'),
    })
  })

  test('the start fails without permissions and names the missing permission and role', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    const { emulator } = bucket
    emulator.settings.permissions.delete('storage.objects.create')
    expect(await failure(bucket)).toEqual({
      code: 1,
      stderr:
        'slipway: GCS_BUCKET="layers": the service account lacks storage.objects.create; grant it roles/storage.objectAdmin on the bucket',
    })
    emulator.fail(403, 1)
    expect(await failure(bucket)).toEqual({
      code: 1,
      stderr:
        'slipway: GCS_BUCKET="layers": access is denied; grant the service account roles/storage.objectAdmin on the bucket',
    })
  })

  test('the start fails while the bucket is out of reach', async ({ expect }) => {
    await using bucket = await createBucket()
    await bucket.emulator.stop()
    expect(await failure(bucket)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^slipway: the bucket layers is out of reach: .*ECONNREFUSED/),
    })
    await bucket.emulator.start()
    await start(bucket)
  })

  test('the start fails with invalid credentials and does not show them', async ({ expect }) => {
    await using bucket = await createBucket()
    await writeFile(bucket.keyFile, `${await readFile(bucket.keyFile, 'utf8')}, what is that?`)
    const { code, stderr } = await failure(bucket)
    expect(code).toBe(1)
    expect(stderr).toBe(
      `slipway: GOOGLE_APPLICATION_CREDENTIALS="${bucket.keyFile}" is not a file with Google credentials: it is not JSON`,
    )
    const broken = bucket.emulator.credentials.private_key.replace('\n', '\nAAAA')
    await writeFile(
      bucket.keyFile,
      JSON.stringify({ ...bucket.emulator.credentials, private_key: broken }),
    )
    expect(await failure(bucket)).toEqual({
      code: 1,
      stderr: expect.stringMatching(/is not a key$/),
    })
  })
})

describe.concurrent('credentials without a key', () => {
  test('without a key IAM signs each URL once, for several pulls', async ({ expect }) => {
    await using bucket = await createBucket()
    const slipway = await start(bucket, bucket.keyless)
    const { manifest } = await pullManifest(slipway, 'jq')
    bucket.emulator.resetLedger()
    const parts = [manifest.config, ...manifest.layers]
    await Promise.all([1, 2, 3].map(() => pull(slipway, 'jq')))
    expect(bucket.requests()).toMatchObject({
      token: 1,
      sign: parts.length,
      'signed-get blobs': 3 * parts.length,
    })
  })

  test('if IAM refuses to sign, the blob answers 503 with the failure, and 200 later', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    const slipway = await start(bucket, bucket.keyless)
    const { manifest } = await pullManifest(slipway, 'jq')
    const path = `/v2/jq/blobs/${manifest.config.digest}`
    bucket.emulator.fail(403, 1, ({ kind }) => kind === 'sign')
    expect(await failedRequest(slipway, path)).toMatchObject({
      status: 503,
      retryAfter: expect.stringMatching(/^\d+$/),
      message: expect.stringMatching(/^no URLs of the bucket layers can be signed: /),
    })
    expect((await slipway.fetch(path)).status).toBe(200)
  })
})

describe.concurrent('log', () => {
  test('the log contains no key, token or signature after failures of all kinds', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    const { emulator } = bucket
    const withKey = await start(bucket)
    emulator.fail(503, 1, ({ kind }) => kind === 'upload-start')
    const isLarge = ({ headers }: { headers: Record<string, unknown> }) =>
      headers['content-range'] !== undefined
    emulator.cutUploads({ afterBytes: megabyte, match: isLarge })
    await pull(withKey, 'jq')
    emulator.fail(403, 100)
    await failedRequest(withKey, '/v2/hello/manifests/latest')
    emulator.clearFaults()
    await withKey.stop()

    const keyless = await start(bucket, bucket.keyless)
    const { manifest } = await pull(keyless, 'hello')
    const { config } = (await pullManifest(keyless, 'busybox')).manifest
    await emulator.stop()
    await failedRequest(keyless, '/v2/tree/manifests/latest')
    // The first URL has been signed before, the second cannot be signed now.
    expect(await redirectOf(keyless, manifest.config)).toContain('X-Goog-Signature')
    await failedRequest(keyless, `/v2/busybox/blobs/${config.digest}`)
    expect(await keyless.stop()).toBe(0)

    const { log } = bucket
    // The log has the failures.
    expect(log).toMatch(/the bucket layers answered 403/)
    expect(log).toMatch(/the bucket layers is out of reach/)
    expect(log).toMatch(/no URLs of the bucket layers can be signed/)
    expect(bucket.leaks()).toEqual([])
  })
})
