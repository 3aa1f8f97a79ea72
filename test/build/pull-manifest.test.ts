import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../service/image/descriptor.ts'
import { Failure } from '../../service/image/errors.ts'
import { blobsOf, Workbench } from '../support/workbench.ts'

let bench: Workbench

beforeEach(async () => {
  bench = await Workbench.create()
})
afterEach(() => bench[Symbol.asyncDispose]())

test('the first pull of an image builds it and stores all its blobs', async () => {
  const image = await bench.image('hello')
  expect(image.record).toMatchObject({ name: 'hello', packages: ['hello'], architecture: 'amd64' })
  const { config, layers } = blobsOf(image.oci)
  for (const digest of [config, ...layers]) {
    expect(await bench.blobs.stat(digest)).toBeDefined()
  }
})

test('a second pull of an image asks neither storage nor Nix', async () => {
  const first = await bench.image('hello')
  bench.journal.length = 0
  expect(await bench.image('hello')).toBe(first)
  expect(bench.journal).toEqual([])
})

test('16 concurrent first pulls of an image share one build', async () => {
  const images = await Promise.all(Array.from({ length: 16 }, () => bench.image('hello')))
  expect(bench.did('evaluate')).toHaveLength(1)
  expect(bench.did('realise')).toHaveLength(1)
  expect(new Set(images).size).toBe(1)
})

test('names with the same packages in another order give one image', async () => {
  const [one, other] = await Promise.all([bench.image('git/hello'), bench.image('hello/git/git')])
  expect(one).toBe(other)
  expect(bench.did('evaluate')).toHaveLength(1)
})

test('a pull after a restart answers from the storage', async () => {
  const first = await bench.image('hello')
  const next = await Workbench.create({ restarted: bench })
  const second = await next.image('hello')
  expect(second.oci.descriptor).toEqual(first.oci.descriptor)
  expect(second.docker.descriptor).toEqual(first.docker.descriptor)
  expect(next.did('evaluate')).toEqual([])
  expect(next.did('put')).toEqual([])
})

test('a pull of a tag that has moved builds the new image', async () => {
  await bench.image('hello')
  bench.source.refs.set('v1', '9'.repeat(40))
  await bench.image('hello')
  expect(bench.did('evaluate')).toHaveLength(2)
})

test('a pull of an unknown tag throws the failure of the source and builds nothing', async () => {
  await expect(bench.image('hello', 'v9')).rejects.toMatchObject({ kind: 'manifest-unknown' })
  expect(bench.journal).toEqual([])
})

test('a failed build reaches all waiting pulls and the next one, without a second build', async () => {
  const broken = new Failure('build-failed', 'hello does not build')
  bench.nix.before = (operation) => {
    if (operation === 'realise') throw broken
  }
  const pulls = await Promise.allSettled([bench.image('hello'), bench.image('hello')])
  expect(pulls).toMatchObject([{ reason: broken }, { reason: broken }])
  await expect(bench.image('hello')).rejects.toBe(broken)
  expect(bench.did('realise')).toHaveLength(1)
})

test('a builder for a pull has the time limit of pulls', async () => {
  await bench.image('hello')
  expect(bench.nix.timeouts).toEqual([60])
})

describe('a build that takes longer than a pull waits', () => {
  test('a pull that waits too long throws still-building, and a later pull finds the image', async () => {
    const gate = Promise.withResolvers<void>()
    await using impatient = await Workbench.create({ pullWait: 0.02 })
    impatient.nix.before = (operation) => (operation === 'realise' ? gate.promise : undefined)
    await expect(impatient.image('hello')).rejects.toMatchObject({
      kind: 'still-building',
      message: expect.stringContaining('hello:v1'),
      retryAfter: expect.any(Number),
    })
    await expect(impatient.image('hello')).rejects.toMatchObject({ kind: 'still-building' })
    gate.resolve()
    await expect
      .poll(() => impatient.images.remembered(impatient.keyOf('hello')), { timeout: 10_000 })
      .toBeDefined()
    const image = await impatient.image('hello')
    expect(image.record.name).toBe('hello')
    expect(impatient.did('realise')).toHaveLength(1)
  })

  test('a build that fails after still-building rejects the next pull with its failure', async () => {
    await using impatient = await Workbench.create({ pullWait: 0.02 })
    const failing = Promise.withResolvers<void>()
    const broken = new Failure('build-failed', 'hello does not build')
    impatient.nix.before = (operation) => (operation === 'realise' ? failing.promise : undefined)
    await expect(impatient.image('hello')).rejects.toMatchObject({ kind: 'still-building' })
    failing.reject(broken)
    await expect.poll(() => impatient.did('release'), { timeout: 10_000 }).toHaveLength(1)
    await expect(impatient.image('hello')).rejects.toBe(broken)
  })
})

describe('byDigest()', () => {
  test('byDigest() finds the OCI and the Docker manifest of an image', async () => {
    const { oci, docker } = await bench.image('hello')
    expect(await bench.pull.byDigest(oci.descriptor.digest)).toEqual(oci)
    expect(await bench.pull.byDigest(docker.descriptor.digest)).toEqual(docker)
  })

  test('byDigest() does not return a layer or a config', async () => {
    const { config, layers } = blobsOf((await bench.image('hello')).oci)
    for (const digest of [config, ...layers]) {
      expect(await bench.pull.byDigest(digest)).toBeUndefined()
    }
  })

  test('byDigest() of an unknown digest returns undefined and builds nothing', async () => {
    expect(await bench.pull.byDigest(`sha256:${'a'.repeat(64)}`)).toBeUndefined()
    expect(bench.did('evaluate')).toEqual([])
  })
})

test('an image that has lost a blob is built again, with the same digest', async () => {
  const first = await bench.image('hello')
  const layer = blobsOf(first.oci).layers[0] as Digest
  await bench.loseBlob(layer)
  const next = await Workbench.create({ restarted: bench })
  const second = await next.image('hello')
  expect(second.oci.descriptor).toEqual(first.oci.descriptor)
  expect(next.did('pack')).toHaveLength(1)
  expect(await next.blobs.stat(layer)).toBeDefined()
})

test('a pull throws unavailable if the storage loses the blobs of a build at once', async () => {
  bench.store.before = async (operation, key) => {
    // Deletes all blobs just before the record of the image is written.
    if (operation !== 'put' || !key.startsWith('images/')) return
    for await (const blob of bench.disk.list('blobs/')) await bench.disk.delete(blob)
  }
  await expect(bench.image('hello')).rejects.toMatchObject({ kind: 'unavailable' })
})
