import { beforeEach, describe, expect, test } from 'vitest'
import { BuildQueue } from '../../service/build/build-queue.ts'
import { ImageBuilds } from '../../service/build/image-builds.ts'
import type { Cause, FoundImage } from '../../service/build/ports.ts'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { Leases } from '../../service/queue/leases.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { RecordingLog } from '../support/recording-log.ts'

/** Stands for what is stored under a key. */
let stored: Map<string, { key: string }>
let built: string[]
/** What a build waits for, or fails with. */
let gate: Promise<void> | undefined
/** Whether what was just built can be read. */
let lost: boolean
let builds: ImageBuilds

const request = (imageKey: string, cause: Cause = 'pull') => ({
  imageKey,
  cause,
  name: parseImageName('hello'),
  revision: { id: 'c1' },
  limit: { seconds: 60, setting: 'NIX_TIMEOUT' } as const,
})

beforeEach(() => {
  stored = new Map()
  built = []
  gate = undefined
  lost = false
  const images = {
    load: async (key: string) => stored.get(key),
    async keep(key: string, record: { key: string }) {
      if (!lost) stored.set(key, record)
      return stored.get(key)
    },
  }
  const build = {
    async build({ imageKey: key }: { imageKey: string }) {
      built.push(key)
      await gate
      return { record: { key }, manifests: [] }
    },
  }
  builds = new ImageBuilds(
    new BuildQueue<FoundImage>(),
    images as never,
    build as never,
    new Leases({ store: new MemoryStore(), instance: 'one', log: new RecordingLog() }),
  )
})

test('an image that is stored is not built', async () => {
  stored.set('a', { key: 'a' })
  expect(await builds.get(request('a'))).toEqual({ image: { key: 'a' }, outcome: 'record' })
  expect(built).toEqual([])
})

test('an image that is not stored is built, and stored from then on', async () => {
  expect((await builds.get(request('a'))).outcome).toBe('built')
  expect((await builds.get(request('a'))).outcome).toBe('record')
  expect(built).toEqual(['a'])
})

test('a pull joins the build of a prebuild, and the other way round', async () => {
  const held = Promise.withResolvers<void>()
  gate = held.promise
  const all = (['prebuild', 'pull', 'prebuild'] as const).map((cause) =>
    builds.get(request('a', cause)),
  )
  expect(builds.isUnderWay('a')).toBe(true)
  expect(builds.isUnderWay('b')).toBe(false)
  held.resolve()
  expect((await Promise.all(all)).map(({ image }) => image)).toEqual(Array(3).fill({ key: 'a' }))
  expect(built).toEqual(['a'])
  expect(builds.isUnderWay('a')).toBe(false)
})

test('an image that the storage loses at once is out of reach', async () => {
  lost = true
  await expect(builds.get(request('a'))).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('the storage lost part of it'),
  })
})

describe('a failure that was found without building', () => {
  const broken = new Failure('build-failed', 'hello is broken')

  test('is what a pull hears, until it is to be forgotten', async () => {
    builds.remember('a', broken)
    await expect(builds.get(request('a'))).rejects.toBe(broken)
    expect(built).toEqual([])
    builds.forgetFailures()
    expect((await builds.get(request('a'))).outcome).toBe('built')
  })

  test('is nothing to other images', async () => {
    builds.remember('a', broken)
    expect((await builds.get(request('b'))).outcome).toBe('built')
  })
})
