/** Several instances that share a bucket and divide the work by leases in it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Bucket } from '../support/bucket.ts'
import { BuilderGate } from '../support/builder-gate.ts'
import { PackageSet } from '../support/package-set.ts'
import { pull, pullManifest } from '../support/pull.ts'
import type { Slipway } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'
import { sendWebhook } from '../support/webhook.ts'

const secret = 'a secret between git and the registry'
/** Milliseconds until a lease expires, plus those between two checks of it. */
const takeOverTime = 20_000 + 2000

/** Compile cache that all services share, so that they start in half the time. */
let compiled: TemporaryFolder

beforeAll(async () => {
  compiled = await TemporaryFolder.create()
})
afterAll(() => compiled?.[Symbol.asyncDispose]())

/** Bucket and package set, and instances that share both. */
class Cluster implements AsyncDisposable {
  readonly bucket: Bucket
  readonly packages: PackageSet

  private constructor(bucket: Bucket, packages: PackageSet) {
    this.bucket = bucket
    this.packages = packages
  }

  static async create(settings: Record<string, string> = {}): Promise<Cluster> {
    const bucket = await Bucket.create({
      NODE_COMPILE_CACHE: compiled.path,
      SLIPWAY_WEBHOOK_SECRET: secret,
      // Prebuild only pushed refs: the tags of the example set have fixed dates.
      SLIPWAY_PREBUILD_MAX_AGE: '0',
      ...settings,
    })
    return new Cluster(bucket, await PackageSet.create())
  }

  start(instance: string): Promise<Slipway> {
    return this.bucket.start(this.bucket.settings(this.packages.folder, instance))
  }

  startTwo(): Promise<[Slipway, Slipway]> {
    return Promise.all([this.start('one'), this.start('two')])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bucket[Symbol.asyncDispose]()
    await this.packages[Symbol.asyncDispose]()
  }
}

/** Lists the images that instances have built, sorted, each as often as it was built. */
const built = (...instances: Slipway[]) =>
  instances.flatMap((slipway) => slipway.logged('image built').map(({ image }) => image)).sort()

const patient = { timeout: 60_000, interval: 100 }

describe('two instances', () => {
  test('two instances build each of 20 simultaneously pulled images once and serve the same digests', async () => {
    await using cluster = await Cluster.create()
    const own = Array.from({ length: 10 }, (_, index) => `thing${index}`)
    const scripts = own.map((name) => [name, `mkdir $out; echo ${name} >$out/${name}`])
    await cluster.packages.add(Object.fromEntries(scripts))
    const images = [
      ...own,
      ...own.slice(0, 5).map((name) => `shell/${name}`),
      ...['custom-service', 'jq', 'hello', 'git/jq', 'web'],
    ]
    const instances = await cluster.startTwo()
    // The instances take turns in getting the first request.
    const pulled = await Promise.all(
      images.map((image, index) => {
        const order = index % 2 === 0 ? instances : instances.toReversed()
        return Promise.all(order.map((slipway) => pull(slipway, image)))
      }),
    )
    for (const [first, second] of pulled) expect(first?.digest).toBe(second?.digest)
    const digests = new Set(pulled.map(([first]) => first?.digest))
    expect(digests.size).toBe(images.length)
    expect(built(...instances)).toEqual([...images].sort())
    await expect.poll(() => cluster.bucket.names('leases')).toEqual([])
  })

  test('two instances prebuild each image of a pushed tag once', async () => {
    await using cluster = await Cluster.create()
    const { packages } = cluster
    const own = Array.from({ length: 6 }, (_, index) => `part${index}`)
    const scripts = own.map((name) => [name, `sleep 0.3; echo ${name} >$out`])
    await packages.add(Object.fromEntries(scripts))
    const images = [...own, 'custom-service', 'shell/jq']
    const instances = await cluster.startTwo()
    await packages.commit('slipway.json', JSON.stringify({ images }))
    await packages.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    const send = (slipway: Slipway) => sendWebhook(slipway, secret, 'refs/tags/release-v3')
    expect(await Promise.all(instances.map(send))).toEqual([202, 202])
    const statuses = async (slipway: Slipway) => {
      const responses = await Promise.all(
        images.map((image) =>
          slipway.fetch(`/v2/${image}/manifests/release-v3`, { method: 'HEAD' }),
        ),
      )
      return responses.map(({ status }) => status)
    }
    await expect.poll(() => built(...instances).length, patient).toBe(images.length)
    for (const slipway of instances) {
      expect(new Set(await statuses(slipway))).toEqual(new Set([200]))
    }
    expect(built(...instances)).toEqual([...images].sort())
    await expect.poll(() => cluster.bucket.names('leases')).toEqual([])
  })

  test('an instance prebuilds images that were pulled from another instance', async () => {
    await using cluster = await Cluster.create({ SLIPWAY_PREBUILD_POPULAR: '20' })
    const one = await cluster.start('one')
    await pullManifest(one, 'jq')
    // The instance writes its pull counts when it stops.
    await one.stop()
    const two = await cluster.start('two')
    await pullManifest(two, 'hello')
    await cluster.packages.commit('custom-service/version', '3.0\n')
    expect(await sendWebhook(two, secret)).toBe(202)
    await expect.poll(() => built(two), patient).toEqual(['hello', 'hello', 'jq'])
  })
})

describe.concurrent('instances that end during a build', () => {
  test('after kill -9 another instance takes over when the lease has expired', async ({
    expect,
  }) => {
    await using gate = await BuilderGate.create()
    await using cluster = await Cluster.create()
    await cluster.packages.add({ slow: `${gate.wait}; echo slow >$out` })
    const [doomed, other] = await cluster.startTwo()
    const lost = pullManifest(doomed, 'slow').catch(() => 'cut')
    await gate.reached()
    const waiting = pull(other, 'slow')
    const isWaiting = () =>
      cluster.bucket.emulator.requests.some(
        ({ kind, status, key }) =>
          kind === 'upload' && status === 412 && key?.startsWith('leases/'),
      )
    await expect.poll(isWaiting, patient).toBe(true)
    await doomed.stop('SIGKILL')
    const killed = performance.now()
    expect(await lost).toBe('cut')
    await other.untilLogged('took over the lease of a dead instance')
    // Some seconds more, because other tests keep the machine busy.
    expect(performance.now() - killed).toBeLessThan(takeOverTime + 10_000)
    await gate.open()
    await waiting
    expect(other.logged('took over the lease of a dead instance')).toHaveLength(1)
    expect(built(other)).toEqual(['slow'])
    await expect.poll(() => cluster.bucket.names('leases')).toEqual([])
  })

  test('after kill -9 during uploads the other instance uploads only the missing blobs', async ({
    expect,
  }) => {
    await using cluster = await Cluster.create()
    const { emulator } = cluster.bucket
    const [doomed, other] = await cluster.startTwo()
    // Delays large layers, whose upload has a start request, and not small ones.
    emulator.delay(600_000, Number.POSITIVE_INFINITY, ({ kind }) => kind === 'upload-start')
    const lost = pullManifest(doomed, 'shell/git').catch(() => 'cut')
    await expect.poll(() => cluster.bucket.names('layers').length, patient).toBeGreaterThan(10)
    const waiting = pull(other, 'shell/git')
    await doomed.stop('SIGKILL')
    expect(await lost).toBe('cut')
    emulator.clearFaults()
    await waiting
    const uploads = emulator.requests.filter(
      ({ kind, key = '' }) => kind === 'upload' && key.startsWith('blobs/'),
    )
    const keys = uploads.map(({ key }) => key)
    expect(keys.sort()).toEqual(cluster.bucket.names('blobs').sort())
    await expect.poll(() => cluster.bucket.names('leases')).toEqual([])
  })

  test('after SIGTERM no lease is left, and another instance builds at once', async ({
    expect,
  }) => {
    await using gate = await BuilderGate.create()
    await using cluster = await Cluster.create()
    await cluster.packages.add({ slow: `${gate.wait}; echo slow >$out` })
    const [ending, other] = await cluster.startTwo()
    // The client leaves, because SIGTERM lets open requests finish.
    const leaving = new AbortController()
    const path = '/v2/slow/manifests/latest'
    const pulled = ending.fetch(path, { signal: leaving.signal }).catch(() => 'gone')
    await gate.reached()
    expect(cluster.bucket.names('leases')).toHaveLength(1)
    leaving.abort()
    await pulled
    expect(await ending.stop('SIGTERM')).toBe(0)
    expect(cluster.bucket.names('leases')).toEqual([])
    await gate.open()
    await pull(other, 'slow')
    expect(other.logged('took over the lease of a dead instance')).toEqual([])
    expect(built(other)).toEqual(['slow'])
  })
})
