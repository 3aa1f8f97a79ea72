import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ImageBuilds } from '../../service/build/image-builds.ts'
import type { BuildRequest, Cause } from '../../service/build/ports.ts'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { SharedStore } from '../support/shared-store.ts'
import { Workbench } from '../support/workbench.ts'

const broken = new Failure('build-failed', 'hello does not build')

let bench: Workbench
let builds: ImageBuilds

beforeEach(async () => {
  bench = await Workbench.create()
  builds = bench.imageBuilds
})
afterEach(() => bench[Symbol.asyncDispose]())

function requestOf(name: string, cause: Cause = 'pull'): BuildRequest {
  return {
    name: parseImageName(name),
    revision: { id: bench.source.refs.get('v1') ?? '' },
    imageKey: bench.keyOf(name),
    cause,
    limit: { seconds: 60, setting: 'NIX_TIMEOUT' },
  }
}

function failRealisation(failure: Failure): void {
  bench.nix.before = (operation) => {
    if (operation === 'realise') throw failure
  }
}

test('an image without a record is built once and then loaded from its record', async () => {
  expect((await builds.get(requestOf('hello'))).outcome).toBe('built')
  expect((await builds.get(requestOf('hello'))).outcome).toBe('record')
  expect(bench.did('realise')).toHaveLength(1)
})

test('a pull joins the build of a prebuild, and a prebuild that of a pull', async () => {
  const gate = Promise.withResolvers<void>()
  bench.nix.before = () => gate.promise
  const requests = (['prebuild', 'pull', 'prebuild'] as const).map((cause) =>
    builds.get(requestOf('hello', cause)),
  )
  expect(builds.isUnderWay(bench.keyOf('hello'))).toBe(true)
  expect(builds.isUnderWay(bench.keyOf('git'))).toBe(false)
  gate.resolve()
  const images = (await Promise.all(requests)).map(({ image }) => image)
  expect(new Set(images).size).toBe(1)
  expect(bench.did('realise')).toHaveLength(1)
  expect(builds.isUnderWay(bench.keyOf('hello'))).toBe(false)
})

test('an image whose blobs the storage loses at once is unavailable', async () => {
  bench.store.before = async (operation, key) => {
    if (operation !== 'put' || !key.startsWith('images/')) return
    for await (const blob of bench.disk.list('blobs/')) await bench.disk.delete(blob)
  }
  await expect(builds.get(requestOf('hello'))).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('the storage lost blobs of it'),
  })
})

describe('a failed build', () => {
  test('a failed build is remembered, and answers the next request without a build', async () => {
    failRealisation(broken)
    await expect(builds.get(requestOf('hello'))).rejects.toBe(broken)
    expect(bench.failures.get(bench.keyOf('hello'), 'pull')).toBe(broken)
    await expect(builds.get(requestOf('hello'))).rejects.toBe(broken)
    expect(bench.did('realise')).toHaveLength(1)
  })

  test('a failure that was noted without a build answers pulls until it is cleared', async () => {
    bench.failures.note(bench.keyOf('hello'), broken, 'prebuild')
    await expect(builds.get(requestOf('hello'))).rejects.toBe(broken)
    expect((await builds.get(requestOf('git'))).outcome).toBe('built')
    bench.failures.clear()
    expect((await builds.get(requestOf('hello'))).outcome).toBe('built')
  })

  test('a prebuild tries an image that ran out of time in a pull', async () => {
    failRealisation(new Failure('build-timed-out', 'hello took longer than 60 seconds'))
    await expect(builds.get(requestOf('hello'))).rejects.toMatchObject({ kind: 'build-timed-out' })
    bench.nix.before = () => {}
    expect((await builds.get(requestOf('hello', 'prebuild'))).outcome).toBe('built')
    expect(bench.failures.get(bench.keyOf('hello'), 'pull')).toBeUndefined()
  })

  test('a build that succeeds deletes the failures of its image', async () => {
    const gate = Promise.withResolvers<void>()
    bench.nix.before = () => gate.promise
    const pull = builds.get(requestOf('hello'))
    bench.failures.note(bench.keyOf('hello'), broken, 'prebuild')
    gate.resolve()
    await pull
    expect(bench.failures.get(bench.keyOf('hello'), 'pull')).toBeUndefined()
    expect(bench.failures.get(bench.keyOf('hello'), 'prebuild')).toBeUndefined()
  })
})

describe('claim on a storage that instances share', () => {
  let other: Workbench

  beforeEach(async () => {
    const store = new SharedStore()
    const options = { store, versioned: store.versioned }
    await bench[Symbol.asyncDispose]()
    bench = await Workbench.create(options)
    other = await Workbench.create(options)
  })
  afterEach(async () => {
    await Promise.all([bench, other].map(({ leases }) => leases.close()))
    await other[Symbol.asyncDispose]()
  })

  test('only one of two instances gets the lease on an image', async () => {
    const key = bench.keyOf('hello')
    const lease = await bench.imageBuilds.claim(key)
    expect(lease).toBeDefined()
    expect(await other.imageBuilds.claim(key)).toBeUndefined()
    await lease?.release()
    expect(await other.imageBuilds.claim(key)).toBeDefined()
  })

  test('no instance gets the lease on an image that another instance has built', async () => {
    await bench.imageBuilds.get(requestOf('hello'))
    expect(await other.imageBuilds.claim(bench.keyOf('hello'))).toBeUndefined()
  })
})
