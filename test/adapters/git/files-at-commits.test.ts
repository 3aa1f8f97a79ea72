import { afterEach, beforeEach, expect, test } from 'vitest'
import { failureOf, MirrorWorkspace } from './mirror-workspace.ts'

let workspace: MirrorWorkspace

beforeEach(async () => {
  workspace = await MirrorWorkspace.create()
})
afterEach(() => workspace[Symbol.asyncDispose]())

test('a file is read as it was committed, at each commit', async () => {
  const { origin } = workspace
  const first = await origin.commit({ 'slipway.json': '{ "images": [] }\n\n', 'dir/empty': '' })
  const second = await origin.commit({ 'slipway.json': 'ä\n' })
  const mirror = workspace.mirror()
  await mirror.fetch()
  const texts = [first, second].map((commit) => mirror.readFile(commit, 'slipway.json'))
  expect(await Promise.all(texts)).toEqual(['{ "images": [] }\n\n', 'ä\n'])
  expect(await mirror.readFile(first.toUpperCase(), 'dir/empty')).toBe('')
})

test('a missing file, a folder and a file of more than 1 MiB are undefined', async () => {
  const files = { 'dir/file': 'x', large: 'x'.repeat(2 ** 20 + 1), fits: 'y'.repeat(2 ** 20) }
  const commit = await workspace.origin.commit(files)
  const mirror = workspace.mirror()
  await mirror.fetch()
  for (const path of ['absent', 'dir', 'dir/absent', 'large']) {
    expect(await mirror.readFile(commit, path), path).toBeUndefined()
  }
  expect(await mirror.readFile(commit, 'fits')).toBe(files.fits)
})

test('a commit that is not in the mirror is a failure, and is found after a fetch', async () => {
  const known = await workspace.origin.commit({ file: '1' })
  const mirror = workspace.mirror()
  await mirror.fetch()
  const later = await workspace.origin.commit({ file: '2' })
  const reading = mirror.readFile(known, 'file')
  const failure = await failureOf(mirror.readFile(later, 'file'))
  expect(failure.kind).toBe('unavailable')
  expect(failure.message).toBe(`commit ${later} is not in the git mirror`)
  expect(await reading).toBe('1')
  await mirror.fetch()
  expect(await mirror.readFile(later, 'file')).toBe('2')
})

test('a read that fails is repeated at the next request', async () => {
  const commit = await workspace.origin.commit({ file: '1' })
  await workspace.mirror().fetch()
  const once = `[ -e ${workspace.state}/failed ] || { touch ${workspace.state}/failed; exit 1; }`
  const mirror = workspace.mirror({ environment: await workspace.gitThat(once) })
  const failure = await failureOf(mirror.readFile(commit, 'file'))
  expect(failure.message).toBe('git cat-file failed (exit code 1)')
  expect(await mirror.readFile(commit, 'file')).toBe('1')
})

test('a text that is no full commit id is refused', async () => {
  await workspace.origin.commit({ file: '1' })
  const mirror = workspace.mirror()
  await mirror.fetch()
  await expect(mirror.readFile('main', 'file')).rejects.toThrow('main is not a full commit id')
})

test('10,000 reads at once share a few git processes, and repeated reads start none', async () => {
  const { origin } = workspace
  const commits: string[] = []
  for (let index = 0; index < 5; index += 1) {
    commits.push(await origin.commit({ file: String(index), same: 'same' }))
  }
  await workspace.mirror().fetch()
  await workspace.restart()
  const { environment, runs } = await workspace.recordingGit()
  const mirror = workspace.mirror({ environment })
  const readAll = () =>
    Promise.all(
      Array.from({ length: 10_000 }, (_, index) => {
        const path = ['file', 'same', 'absent'][index % 3] ?? ''
        return mirror.readFile(commits[index % commits.length] ?? '', path)
      }),
    )
  const texts = await readAll()
  expect(texts.slice(0, 6)).toEqual(['0', 'same', undefined, '3', 'same', undefined])
  const { total, atOnce } = await runs()
  expect(total).toBeLessThanOrEqual(4)
  expect(atOnce).toBe(1)
  expect(await readAll()).toEqual(texts)
  expect(await runs()).toEqual({ total: 0, atOnce: 0 })
})
