import { beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'
import { FailedPrebuilds } from '../../service/prebuild/failed-prebuilds.ts'
import { GitRefStates } from '../../service/prebuild/ref-states.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { imageRecord } from '../../service/storage/image-record.ts'
import type { ImageRecord } from '../../service/storage/ports.ts'
import { Records } from '../../service/storage/records.ts'
import { Globs } from '../../service/text/globs.ts'
import { FakeGit } from '../support/fake-git.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { silentLog } from '../support/silent-log.ts'

const main = 'refs/heads/main'
const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const recipe = { compression: 'none', layerBudget: 94 } as const
const descriptor = { mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 1 } as const

let git: FakeGit
let records: Records<ImageRecord>
let failed: FailedPrebuilds
let refs: RefTable | undefined
let popular: string[]
/** By image key. */
let building: Map<string, 'queued' | 'building'>

const keyOf = (name: string, commit: string) =>
  imageKey({ id: commit }, parseImageName(name), recipe)

function states(): GitRefStates {
  return new GitRefStates({
    source: { refs } as never,
    repository: git,
    images: records,
    pulls: { mostPulled: () => popular.map(parseImageName) } as never,
    prebuilds: { stateOf: (key: string) => building.get(key) } as never,
    failed,
    scope: { tags: new Globs(['*']), maxAge: 0 },
    popular: 5,
    recipe,
  })
}

const list = async (limit = 100) => (await states().list(limit)).refs
const tagsOf = async () => (await list()).map(({ ref, tag }) => [ref, tag])

beforeEach(() => {
  git = new FakeGit()
  records = new Records(new MemoryStore(), 'images', imageRecord, silentLog)
  failed = new FailedPrebuilds()
  refs = undefined
  popular = []
  building = new Map()
})

test('before the first fetch there are none', async () => {
  expect(await states().list(10)).toEqual({ refs: [], total: 0 })
})

test('images are stored, building, queued, failed or absent', async () => {
  const images = ['stored', 'building', 'queued', 'failed', 'absent']
  refs = new RefTable([['refs/tags/v1', A]])
  git.files.set(`${A}:slipway.json`, JSON.stringify({ images }))
  const record = { name: 'stored', packages: [], architecture: 'amd64', revision: A, size: 1 }
  await records.replace(keyOf('stored', A), { ...record, oci: descriptor, docker: descriptor })
  building.set(keyOf('building', A), 'building').set(keyOf('queued', A), 'queued')
  failed.note(keyOf('failed', A), new Failure('build-failed', 'no header'))
  expect((await list())[0]?.images).toEqual([
    { name: 'stored', state: 'stored', digest: descriptor.digest },
    { name: 'building', state: 'building' },
    { name: 'queued', state: 'queued' },
    { name: 'failed', state: 'failed', failure: 'no header' },
    { name: 'absent', state: 'absent' },
  ])
})

test('an invalid slipway.json is told, beside the popular images', async () => {
  popular = ['liked']
  refs = new RefTable([['refs/tags/v1', A]])
  git.files.set(`${A}:slipway.json`, '{"image": []}')
  const [state] = await list()
  expect(state?.failure).toMatch(/"image".*the keys are images, tags, branches/)
  expect(state?.images).toEqual([{ name: 'liked', state: 'absent' }])
})

test('refs in scope come first, whatever their age; of others no images are told', async () => {
  popular = ['liked']
  refs = new RefTable(
    [
      ['refs/heads/feature', B],
      [main, A],
      ['refs/tags/old', A],
    ],
    main,
  )
  git.dates.set('refs/tags/old', 0)
  expect((await list()).map(({ ref, inScope, images }) => [ref, inScope, images.length])).toEqual([
    ['refs/tags/old', true, 1],
    [main, true, 1],
    ['refs/heads/feature', false, 0],
  ])
  expect(await states().list(1)).toMatchObject({ refs: [{ ref: 'refs/tags/old' }], total: 3 })
})

describe('the tag of a ref', () => {
  test('is its name, or its slug', async () => {
    refs = new RefTable([
      ['refs/heads/feature/login', A],
      ['refs/tags/v1', A],
    ])
    expect(await tagsOf()).toEqual([
      ['refs/tags/v1', 'v1'],
      ['refs/heads/feature/login', 'feature-login'],
    ])
  })

  test('is its commit where the name means another ref', async () => {
    refs = new RefTable(
      [
        ['refs/tags/v1', A],
        ['refs/heads/v1', B],
        ['refs/heads/feature/login', A],
        ['refs/heads/feature+login', B],
        [main, A],
        ['refs/heads/latest', B],
      ],
      main,
    )
    expect(Object.fromEntries(await tagsOf())).toEqual({
      'refs/tags/v1': 'v1',
      'refs/heads/v1': B,
      'refs/heads/feature+login': 'feature-login',
      'refs/heads/feature/login': A,
      [main]: 'main',
      'refs/heads/latest': B,
    })
  })
})

test('however many refs are asked for, git is asked about a few at a time', async () => {
  refs = new RefTable(Array.from({ length: 500 }, (_, n) => [`refs/tags/v${n}`, A]))
  let running = 0
  let mostRunning = 0
  git.readFile = async () => {
    running += 1
    mostRunning = Math.max(mostRunning, running)
    await new Promise(setImmediate)
    running -= 1
    return undefined
  }
  const both = states()
  const lists = await Promise.all([both.list(500), both.list(500)])
  expect(lists.map((one) => one.refs.length)).toEqual([500, 500])
  expect(mostRunning).toBeLessThanOrEqual(4)
})

test('git that cannot be read is out of reach, not an empty list', async () => {
  refs = new RefTable([['refs/tags/v1', A]])
  git.readFile = async () => {
    throw new Failure('unavailable', 'git hangs')
  }
  await expect(states().list(10)).rejects.toMatchObject({ kind: 'unavailable' })
})
