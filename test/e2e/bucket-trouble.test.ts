/** Large layers, a failing bucket and full disks. Only whole blobs are stored, and nothing is left behind. */
import { createHash } from 'node:crypto'
import { readdir, readFile, statfs } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Bucket } from '../support/bucket.ts'
import { Disk } from '../support/disk.ts'
import { PackageSet } from '../support/package-set.ts'
import { failedRequest, pull, pullManifest, redirectOf } from '../support/pull.ts'
import type { Slipway } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const megabyte = 1_000_000

/** Bytes of each noise package. Random bytes do not compress, so its layer has the same size. */
const noise = 200 * megabyte
const noises = ['noise1', 'noise2', 'noise3', 'noise4', 'noise5']

let packages: PackageSet
/** Compile cache that all services share, so that they start in half the time. */
let compiled: TemporaryFolder

beforeAll(async () => {
  packages = await PackageSet.create()
  compiled = await TemporaryFolder.create()
  const added = noises.map((name) => {
    // The derivation has no salt, so the Nix store has its output after the first run of the tests.
    const script = `mkdir $out; head -c ${noise} /dev/urandom >$out/noise`
    return [name, `package { name = "${name}"; script = ''${script}''; }`]
  })
  await packages.addAttributes(Object.fromEntries(added))
})
afterAll(async () => {
  await packages?.[Symbol.asyncDispose]()
  await compiled?.[Symbol.asyncDispose]()
})

const createBucket = () => Bucket.create({ NODE_COMPILE_CACHE: compiled.path })

const start = (bucket: Bucket, more: Record<string, string> = {}) =>
  bucket.start({ ...bucket.settings(packages.folder), ...more })

describe('layer of 200 MB', () => {
  let bucket: Bucket
  beforeAll(async () => {
    bucket = await createBucket()
  })
  afterAll(async () => bucket?.[Symbol.asyncDispose]())

  /** Returns the object of the layer in the bucket. */
  const largest = () => {
    const [largest, ...others] = bucket.emulator.objects().filter(({ size }) => size >= noise)
    if (largest === undefined) throw new Error('the bucket has no such layer')
    return { ...largest, others }
  }

  test('a layer of 200 MB is uploaded once and whole in spite of 503s and cut connections', async () => {
    const { emulator } = bucket
    const slipway = await start(bucket)
    const starts = /^bytes (\d+)-/
    emulator.fail(503, 2, ({ kind }) => kind === 'upload-start')
    emulator.fail(503, 2, ({ kind }) => kind === 'upload-status')
    emulator.fail(
      503,
      3,
      ({ kind, key }) => kind === 'upload' && /^(layers|images)\//.test(key ?? ''),
    )
    emulator.cutUploads({
      afterBytes: 50 * megabyte,
      times: 3,
      match: ({ headers }) => starts.test(headers['content-range'] ?? ''),
    })
    // Fails an upload that resumes in the middle of the layer.
    const isRest = (range = '') => Number(starts.exec(range)?.[1]) > 100 * megabyte
    emulator.fail(
      503,
      1,
      ({ kind, headers }) => kind === 'upload' && isRest(headers['content-range']),
    )
    await pullManifest(slipway, 'noise1')
    const { name, size, others } = largest()
    expect(others).toEqual([])
    const sha256 = createHash('sha256').update(emulator.read(name)).digest('hex')
    expect(name).toBe(`blobs/sha256/${sha256}`)
    const refused = emulator.requests.filter(({ status }) => status === 503).length
    const cut = emulator.requests.filter(({ status, kind }) => kind === 'upload' && status === 0)
    expect({ refused, cut: cut.length }).toEqual({ refused: 8, cut: 3 })
    // An upload resumes where it was cut, so only refused parts are sent again.
    expect(bucket.arrived().get(name)).toBeLessThan(size + 100 * megabyte)
    expect(await readdir(bucket.stagingOf('one'))).toEqual([])
    await expect.poll(() => bucket.names('leases')).toEqual([])
    await slipway.stop()
  })

  describe('without redirects', () => {
    let slipway: Slipway
    let blob: string
    let size: number

    beforeAll(async () => {
      slipway = await start(bucket, { SLIPWAY_GCS_REDIRECT: '0' })
      await pullManifest(slipway, 'noise1')
      const { name, size: bytes } = largest()
      size = bytes
      blob = `/v2/noise1/blobs/${name.replace('blobs/sha256/', 'sha256:')}`
    })

    test('ranges of a layer of 200 MB are served from the bucket', async () => {
      const whole = bucket.emulator.read(largest().name)
      const part = await slipway.fetch(blob, { headers: { Range: 'bytes=1000000-1999999' } })
      expect(part.status).toBe(206)
      expect(part.headers.get('Content-Range')).toBe(`bytes 1000000-1999999/${size}`)
      expect(whole.subarray(megabyte, 2 * megabyte).equals(await part.bytes())).toBe(true)
      const rest = await slipway.fetch(blob, { headers: { Range: `bytes=${size - 10}-` } })
      expect(rest.status).toBe(206)
      expect(whole.subarray(-10).equals(await rest.bytes())).toBe(true)
      const beyond = await slipway.fetch(blob, { headers: { Range: `bytes=${size}-` } })
      expect(beyond.status).toBe(416)
      expect(beyond.headers.get('Content-Range')).toBe(`bytes */${size}`)
      expect(await beyond.json()).toMatchObject({ errors: [{ code: 'RANGE_INVALID' }] })
    })

    test('a client that leaves during the download does not disturb another client', async () => {
      const { emulator } = bucket
      emulator.resetLedger()
      const staying = await slipway.fetch(blob)
      const reader = (staying.body as ReadableStream<Uint8Array>).getReader()
      const hash = createHash('sha256').update((await reader.read()).value ?? '')
      const going = new AbortController()
      const leaving = await slipway.fetch(blob, { signal: going.signal })
      await (leaving.body as ReadableStream).getReader().read()
      going.abort()
      const downloads = () => emulator.requests.filter(({ kind }) => kind === 'download')
      // The service stops the download from the bucket for the client that has left.
      await expect.poll(() => downloads().at(1)?.status).toBe(0)
      expect(downloads().at(1)?.bytesOut).toBeLessThan(size / 2)
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        hash.update(piece.value)
      }
      expect(blob).toContain(hash.digest('hex'))
    })
  })
})

test('uploading an image of 1 GB takes less than 250 MB of memory', async () => {
  await using bucket = await createBucket()
  await using slipway = await start(bucket)
  const { manifest } = await pullManifest(slipway, noises.join('/'))
  const size = manifest.layers.reduce((sum, { size }) => sum + size, 0)
  expect(size).toBeGreaterThan(1000 * megabyte)
  const status = await readFile(`/proc/${slipway.pid}/status`, 'utf8')
  const peak = Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) * 1024
  expect(peak).toBeLessThan(250 * megabyte)
})

describe.concurrent('bucket out of reach', () => {
  test('while the bucket is out of reach pulled images are served, others answer 503, and succeed when it is back', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    const slipway = await start(bucket)
    const { digest, manifest } = await pull(slipway, 'jq', 'release-v1')
    const storage = async () => {
      const response = await slipway.fetch('/readyz')
      const { storage } = (await response.json()) as { storage: object }
      return { status: response.status, storage }
    }
    expect(await storage()).toEqual({ status: 200, storage: { reachable: true } })
    await bucket.emulator.stop()

    for (const reference of ['release-v1', digest]) {
      expect((await pullManifest(slipway, 'jq', reference)).digest).toBe(digest)
    }
    for (const part of [manifest.config, ...manifest.layers]) {
      expect(await redirectOf(slipway, part)).toContain('X-Goog-Signature')
    }
    expect(await failedRequest(slipway, '/v2/hello/manifests/release-v1')).toEqual({
      status: 503,
      retryAfter: expect.stringMatching(/^\d+$/),
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/the bucket layers is out of reach: .*ECONNREFUSED/),
    })
    expect(await storage()).toEqual({
      status: 200,
      storage: { reachable: false, failure: expect.stringMatching(/layers is out of reach/) },
    })

    await bucket.emulator.start()
    // The service notices it without any pull.
    await expect.poll(storage, { timeout: 10_000 }).toMatchObject({ storage: { reachable: true } })
    const again = () => pull(slipway, 'hello', 'release-v1')
    await expect.poll(again, { timeout: 20_000 }).toMatchObject({ manifest: expect.anything() })
    expect(slipway.logged('the bucket can be used again').length).toBeGreaterThan(0)
  })
})

describe.concurrent('full disk of the state folder', () => {
  /** Lists everything that is left of an image that could not be packed. */
  const remains = async (bucket: Bucket) => [
    ...['blobs', 'layers', 'images', 'leases'].flatMap((folder) => bucket.names(folder)),
    ...(await readdir(bucket.stagingOf('one'))),
  ]
  test('a pull answers 503 before packing if the disk is too small for a layer, and succeeds when there is space', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    await using disk = await Disk.mount(bucket.stateOf('one'), '60m')
    await using slipway = await start(bucket)
    expect(await failedRequest(slipway, '/v2/jq/manifests/latest')).toEqual({
      status: 503,
      retryAfter: expect.stringMatching(/^\d+$/),
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /a layer of up to \d+ MiB cannot be packed in .*: \d+ MiB are free there, of which 64 MiB stay free/,
      ),
    })
    // The lease is released after the response.
    await expect.poll(() => remains(bucket)).toEqual([])
    await disk.remount('size=200m')
    const again = () => pull(slipway, 'jq')
    await expect.poll(again, { timeout: 40_000 }).toMatchObject({ manifest: expect.anything() })
  })

  test('a pull answers 503 if the disk becomes full during packing, and leaves nothing behind', async ({
    expect,
  }) => {
    await using bucket = await createBucket()
    await using disk = await Disk.mount(bucket.stateOf('one'), '500m')
    await using slipway = await start(bucket)
    const failed = failedRequest(slipway, '/v2/noise1/manifests/latest')
    const used = async () => {
      const { blocks, bfree, bsize } = await statfs(bucket.stateOf('one'))
      return (blocks - bfree) * bsize
    }
    const idle = await used()
    await expect.poll(used, { timeout: 60_000, interval: 2 }).toBeGreaterThan(idle + 20 * megabyte)
    process.kill(slipway.pid, 'SIGSTOP')
    try {
      // Space for the data that compressors have already and still write.
      await disk.remount(`size=${(await used()) + 10 * megabyte}`)
    } finally {
      process.kill(slipway.pid, 'SIGCONT')
    }
    expect(await failed).toEqual({
      status: 503,
      retryAfter: expect.stringMatching(/^\d+$/),
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/no space is left/),
    })
    expect(await readdir(bucket.stagingOf('one'))).toEqual([])
    const recorded = () => [...bucket.names('images'), ...bucket.names('leases')]
    await expect.poll(recorded).toEqual([])
    await disk.remount('size=500m')
    const again = () => pull(slipway, 'noise1')
    await expect.poll(again, { timeout: 40_000 }).toMatchObject({ manifest: expect.anything() })
  })
})
