import { beforeEach, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { DeclaredImages } from '../../service/prebuild/declared-images.ts'
import { FakeGit } from '../support/fake-git.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

let git: FakeGit
let declared: DeclaredImages

beforeEach(() => {
  git = new FakeGit()
  git.files.set(`${A}:slipway.json`, '{"images": ["git"]}')
  declared = new DeclaredImages(git)
})

test('a commit declares the images that its slipway.json names', async () => {
  expect(await declared.at(A)).toEqual({ images: [parseImageName('git')] })
})

test('a commit without slipway.json declares no images', async () => {
  expect(await declared.at(B)).toEqual({ images: [] })
})

test('an invalid slipway.json is returned as a failure', async () => {
  git.files.set(`${B}:slipway.json`, '{"images": 5}')
  const failure = await declared.at(B)
  expect(failure).toBeInstanceOf(Failure)
  expect(failure).toMatchObject({ message: expect.stringContaining('5 is not a list') })
})

test('slipway.json is read once for each commit, however often it is requested', async () => {
  git.files.set(`${B}:slipway.json`, 'not JSON')
  for (let round = 0; round < 2; round++) {
    await Promise.all([declared.at(A), declared.at(A), declared.at(B), declared.at('c'.repeat(40))])
  }
  expect(git.reads).toHaveLength(3)
})

test('a read that fails is repeated by the next request', async () => {
  const unavailable = new Failure('unavailable', 'git does not answer')
  git.before = () => {
    throw unavailable
  }
  await expect(declared.at(A)).rejects.toBe(unavailable)
  git.before = () => {}
  expect(await declared.at(A)).toEqual({ images: [parseImageName('git')] })
})

test('the cache forgets commits whose files are too long to keep all of them', async () => {
  const images = Array.from({ length: 10_000 }, (_, index) => `package-with-a-long-name-${index}`)
  const commits = Array.from({ length: 20 }, (_, index) => String(index).padStart(40, '0'))
  for (const commit of commits) git.files.set(`${commit}:slipway.json`, JSON.stringify({ images }))
  for (const commit of commits) await declared.at(commit)
  git.reads.length = 0
  await declared.at(commits.at(-1) ?? '')
  expect(git.reads).toHaveLength(0)
  await declared.at(commits[0] ?? '')
  expect(git.reads).toHaveLength(1)
})
