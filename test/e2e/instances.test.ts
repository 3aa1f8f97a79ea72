/** Several instances that keep their images in one bucket, and divide the work without knowing each other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { announce } from '../support/announce.ts'
import { Bucket } from '../support/bucket.ts'
import { PackageSet } from '../support/package-set.ts'
import { processesWith } from '../support/processes.ts'
import { pull, pullManifest } from '../support/pull.ts'
import type { Slipway } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const secret = 'a secret between git and the registry'
/** Milliseconds without a sign of life after which a lease may be taken over, and between two looks at it. */
const expiry = 20_000 + 2000

/** Shared, so that most of the services here start in half the time. */
let compiled: TemporaryFolder

beforeAll(async () => {
  compiled = await TemporaryFolder.create()
})
afterAll(() => compiled?.[Symbol.asyncDispose]())

/** A bucket, a package set of its own, and instances that share both. */
class Fleet implements AsyncDisposable {
  readonly bucket: Bucket
  readonly packages: PackageSet

  private constructor(bucket: Bucket, packages: PackageSet) {
    this.bucket = bucket
    this.packages = packages
  }

  static async create(settings: Record<string, string> = {}): Promise<Fleet> {
    const bucket = await Bucket.create({
      NODE_COMPILE_CACHE: compiled.path,
      SLIPWAY_WEBHOOK_SECRET: secret,
      // What quickstart repositories are dated: the tests say what is pushed, not what is young.
      SLIPWAY_PREBUILD_MAX_AGE: '0',
      ...settings,
    })
    return new Fleet(bucket, await PackageSet.create())
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

/** Images that instances have built, each as often as it was, in order. */
const built = (...instances: Slipway[]) =>
  instances.flatMap((slipway) => slipway.logged('image built').map(({ image }) => image)).sort()

/** Seconds that a builder sleeps, as no other process does: it shows in the arguments. */
const duration = (seconds: number, name: string) => `${seconds}.${process.pid}${name.length}`

const patient = { timeout: 60_000, interval: 100 }

describe('two instances', () => {
  test('that are asked for 20 images at once build each once, and give the same', async () => {
    await using fleet = await Fleet.create()
    const own = Array.from({ length: 10 }, (_, index) => `thing${index}`)
    for (const name of own) await fleet.packages.add(name, `mkdir $out; echo ${name} >$out/${name}`)
    const images = [
      ...own,
      ...own.slice(0, 5).map((name) => `shell/${name}`),
      ...['custom-service', 'jq', 'hello', 'git/jq', 'web'],
    ]
    const instances = await fleet.startTwo()
    // Now the one, now the other is asked first.
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
    await expect.poll(() => fleet.bucket.names('leases')).toEqual([])
  })

  test('prebuild what a pushed tag wants once', async () => {
    await using fleet = await Fleet.create()
    const { packages } = fleet
    const own = Array.from({ length: 6 }, (_, index) => `part${index}`)
    for (const name of own) await packages.add(name, `sleep 0.3; echo ${name} >$out`)
    const images = [...own, 'custom-service', 'shell/jq']
    const instances = await fleet.startTwo()
    await packages.commit('slipway.json', JSON.stringify({ images }))
    await packages.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    const tell = (slipway: Slipway) => announce(slipway, secret, 'refs/tags/release-v3')
    expect(await Promise.all(instances.map(tell))).toEqual([202, 202])
    const isThere = async (slipway: Slipway) => {
      const states = await Promise.all(
        images.map((image) =>
          slipway.fetch(`/v2/${image}/manifests/release-v3`, { method: 'HEAD' }),
        ),
      )
      return states.map(({ status }) => status)
    }
    await expect.poll(() => built(...instances).length, patient).toBe(images.length)
    for (const slipway of instances) expect(new Set(await isThere(slipway))).toEqual(new Set([200]))
    expect(built(...instances)).toEqual([...images].sort())
    await expect.poll(() => fleet.bucket.names('leases')).toEqual([])
  })

  test('prebuild what was pulled from either of them', async () => {
    await using fleet = await Fleet.create({ SLIPWAY_PREBUILD_POPULAR: '20' })
    const one = await fleet.start('one')
    await pullManifest(one, 'jq')
    // Counts are written at the end, and now and then.
    await one.stop()
    const two = await fleet.start('two')
    await pullManifest(two, 'hello')
    await fleet.packages.commit('custom-service/version', '3.0\n')
    expect(await announce(two, secret)).toBe(202)
    await expect.poll(() => built(two), patient).toEqual(['hello', 'hello', 'jq'])
  })
})

describe.concurrent('an instance that ends in the middle of a build', () => {
  test('by kill -9 is replaced by another one when it has been silent for long enough', async ({
    expect,
  }) => {
    const pause = duration(3, 'killed')
    await using fleet = await Fleet.create()
    await fleet.packages.add('slow', `sleep ${pause}; echo slow >$out`)
    const [doomed, other] = await fleet.startTwo()
    const lost = pullManifest(doomed, 'slow').catch(() => 'cut')
    await expect.poll(() => processesWith(pause), patient).not.toEqual([])
    const waiting = pull(other, 'slow')
    const isWaiting = () =>
      fleet.bucket.emulator.requests.some(
        ({ kind, status, key }) =>
          kind === 'upload' && status === 412 && key?.startsWith('leases/'),
      )
    await expect.poll(isWaiting, patient).toBe(true)
    await doomed.stop('SIGKILL')
    const killed = performance.now()
    expect(await lost).toBe('cut')
    await waiting
    const took = performance.now() - killed
    // The build sleeps, and evaluates, packs and stores on a machine that has other things to do, too.
    expect(took).toBeLessThan(expiry + 3000 + 10_000)
    expect(other.logged('took over the lease of a dead instance')).toHaveLength(1)
    expect(built(other)).toEqual(['slow'])
    await expect.poll(() => fleet.bucket.names('leases')).toEqual([])
  })

  test('by kill -9 while it uploads leaves what it uploaded to the other one', async ({
    expect,
  }) => {
    await using fleet = await Fleet.create()
    const { emulator } = fleet.bucket
    const [doomed, other] = await fleet.startTwo()
    // The large layers wait, the small ones get there.
    emulator.delay(600_000, Number.POSITIVE_INFINITY, ({ kind }) => kind === 'upload-start')
    const lost = pullManifest(doomed, 'shell/git').catch(() => 'cut')
    await expect.poll(() => fleet.bucket.names('layers').length, patient).toBeGreaterThan(10)
    const waiting = pull(other, 'shell/git')
    await doomed.stop('SIGKILL')
    expect(await lost).toBe('cut')
    emulator.clearFaults()
    const killed = performance.now()
    await waiting
    expect(performance.now() - killed).toBeLessThan(expiry + 15_000)
    const uploads = emulator.requests.filter(
      ({ kind, key = '' }) => kind === 'upload' && key.startsWith('blobs/'),
    )
    const keys = uploads.map(({ key }) => key)
    expect(keys.sort()).toEqual(fleet.bucket.names('blobs').sort())
    await expect.poll(() => fleet.bucket.names('leases')).toEqual([])
  })

  test('by SIGTERM leaves no lease: another one goes on at once', async ({ expect }) => {
    const pause = duration(4, 'stopped')
    await using fleet = await Fleet.create()
    await fleet.packages.add('slow', `sleep ${pause}; echo slow >$out`)
    const [ending, other] = await fleet.startTwo()
    // Whoever asked does not wait for the answer, or the end would.
    const impatient = new AbortController()
    const path = '/v2/slow/manifests/latest'
    const asked = ending.fetch(path, { signal: impatient.signal }).catch(() => 'gone')
    await expect.poll(() => processesWith(pause), patient).not.toEqual([])
    expect(fleet.bucket.names('leases')).toHaveLength(1)
    impatient.abort()
    await asked
    expect(await ending.stop('SIGTERM')).toBe(0)
    expect(fleet.bucket.names('leases')).toEqual([])
    const began = performance.now()
    await pull(other, 'slow')
    expect(performance.now() - began).toBeLessThan(expiry)
    expect(built(other)).toEqual(['slow'])
  })
})
