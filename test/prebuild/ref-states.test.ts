import { afterEach, beforeEach, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import {
  commitOf,
  day,
  keyOf,
  main,
  PrebuildBench,
  prebuildOf,
  World,
} from '../support/prebuild-bench.ts'
import { until } from '../support/until.ts'

/** Milliseconds: older than what start-up prebuilds, so that no image is built or queued. */
const old = 31 * day

let world: World
let bench: PrebuildBench

beforeEach(async () => {
  world = new World()
  bench = await PrebuildBench.create(world, { popular: 5, concurrency: 1 })
})
afterEach(() => bench[Symbol.asyncDispose]())

const list = async (limit = 100) => (await bench.refs.list(limit)).refs

test('before the first fetch there are no refs', async () => {
  expect(await bench.refs.list(10)).toEqual({ refs: [], total: 0 })
})

test('an image is stored, building, queued, failed or absent', async () => {
  const images = ['a', 'b', 'c', 'd', 'liked']
  world.push('refs/tags/release-1', 1, { images }, old)
  await bench.start()
  await bench.pull('a', 1)
  world.isHolding = true
  bench.queue.add([prebuildOf('b', 1)])
  await until(() => world.held.length === 1)
  bench.queue.add([prebuildOf('c', 1)])
  bench.workbench.failures.note(keyOf('d', 1), new Failure('build-failed', 'no header'), 'prebuild')
  const record = await bench.workbench.imageRecords.get(keyOf('a', 1))
  expect((await list())[0]?.images).toEqual([
    { name: 'a', state: 'stored', digest: record?.oci.digest },
    { name: 'b', state: 'building' },
    { name: 'c', state: 'queued' },
    { name: 'd', state: 'failed', failure: 'no header' },
    { name: 'liked', state: 'absent' },
  ])
})

test('a ref with an invalid slipway.json has its failure and the popular images', async () => {
  world.push('refs/tags/release-1', 1, '{"image": []}', old)
  await bench.start()
  bench.pulls.count(parseImageName('liked'), 'a client')
  const [state] = await list()
  expect(state?.failure).toMatch(/"image".*the keys are images, tags, branches/)
  expect(state?.images).toEqual([{ name: 'liked', state: 'absent' }])
})

test('refs in scope are listed first, at any age; refs out of scope have no images', async () => {
  world.push('refs/heads/feature', 2)
  world.push(main, 1)
  world.push('refs/tags/release-1', 1, undefined, old)
  await bench.start()
  bench.pulls.count(parseImageName('liked'), 'a client')
  expect((await list()).map(({ ref, inScope, images }) => [ref, inScope, images.length])).toEqual([
    ['refs/tags/release-1', true, 1],
    [main, true, 1],
    ['refs/heads/feature', false, 0],
  ])
  expect(await bench.refs.list(1)).toMatchObject({
    refs: [{ ref: 'refs/tags/release-1' }],
    total: 3,
  })
})

test('the tag of a ref is its name; its commit if the name means another commit', async () => {
  world.push('refs/tags/release-1', 1, undefined, old)
  world.push('refs/heads/release-1', 2)
  await bench.start()
  expect((await list()).map(({ ref, tag }) => [ref, tag])).toEqual([
    ['refs/tags/release-1', 'release-1'],
    ['refs/heads/release-1', commitOf(2)],
  ])
})

test('refs at one commit share the read of slipway.json, and later lists read no file', async () => {
  for (let n = 0; n < 500; n++) world.push(`refs/tags/release-${n}`, n % 2, undefined, old)
  await bench.start()
  const lists = await Promise.all([list(500), list(500)])
  expect(lists.map((refs) => refs.length)).toEqual([500, 500])
  await list(500)
  expect(world.git.reads.toSorted()).toEqual([0, 1].map((n) => `${commitOf(n)}:slipway.json`))
})

test('refs with the same images share the reads of their records, a few at a time', async () => {
  const images = ['a', 'b', 'c', 'd']
  for (let n = 0; n < 100; n++) world.push(`refs/tags/release-${n}`, n % 10, { images }, old)
  await bench.start()
  let reads = 0
  let running = 0
  let mostRunning = 0
  world.store.before = async (operation, key) => {
    if (operation !== 'get' || !key.startsWith('images/')) return
    reads += 1
    running += 1
    mostRunning = Math.max(mostRunning, running)
    await new Promise(setImmediate)
    running -= 1
  }
  expect(await list(100)).toHaveLength(100)
  expect(reads).toBe(40)
  expect(mostRunning).toBe(16)
})

test('refs beyond the limit are not read', async () => {
  for (let n = 0; n < 10; n++) world.push(`refs/tags/release-${n}`, n, undefined, old)
  await bench.start()
  await list(3)
  expect(world.git.reads).toHaveLength(3)
})

test('a git that cannot be read is reported as unavailable', async () => {
  world.push('refs/tags/release-1', 1, undefined, old)
  await bench.start()
  world.git.before = (operation) => {
    if (operation === 'readFile') throw new Failure('unavailable', 'git hangs')
  }
  await expect(list()).rejects.toMatchObject({ kind: 'unavailable', message: 'git hangs' })
})
