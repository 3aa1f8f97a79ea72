import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MirrorWorkspace, tableOf } from './mirror-workspace.ts'

let workspace: MirrorWorkspace

beforeEach(async () => {
  workspace = await MirrorWorkspace.create()
})
afterEach(() => workspace[Symbol.asyncDispose]())

test('unknown ids, trees, tag objects, blobs and ref names are not reachable', async () => {
  const { origin } = workspace
  const first = await origin.commit({ a: '1' })
  const tagObject = await origin.annotatedTag('v1')
  const tree = await origin.git('rev-parse', 'HEAD^{tree}')
  const blob = await origin.git('rev-parse', 'HEAD:a')
  const name = 'd'.repeat(64)
  await origin.branch(name)
  await origin.branch('d'.repeat(40))
  const mirror = workspace.mirror()
  await mirror.fetch()
  expect(await mirror.isReachable(first)).toBe(true)
  expect(await mirror.isReachable(first.toUpperCase())).toBe(true)
  const others = [tagObject, tree, blob, name, 'd'.repeat(40), 'e'.repeat(40), 'HEAD', '--all']
  for (const other of others) expect(await mirror.isReachable(other), other).toBe(false)
})

test('a commit that a force-push removed from its branch is not reachable', async () => {
  const { origin } = workspace
  const base = await origin.commit()
  const old = await origin.commit()
  const mirror = workspace.mirror()
  await mirror.fetch()
  expect(await mirror.isReachable(old)).toBe(true)
  await origin.branch('main', base)
  expect(tableOf(await mirror.fetch()).refs.get('refs/heads/main')).toBe(base)
  expect(await mirror.isReachable(old)).toBe(false)
})

test('an abbreviated id leads to the reachable commits that begin with it', async () => {
  const { origin } = workspace
  const first = await origin.commit()
  const lost = await origin.commit()
  await origin.branch('other', lost)
  const mirror = workspace.mirror()
  await mirror.fetch()
  await origin.branch('main', first)
  await origin.delete('refs/heads/other')
  await mirror.fetch()
  expect(await mirror.commitsStartingWith(first.slice(0, 7))).toEqual([first])
  expect(await mirror.commitsStartingWith(first.slice(0, 9).toUpperCase())).toEqual([first])
  expect(await mirror.commitsStartingWith(lost.slice(0, 9))).toEqual([])
  expect(await mirror.commitsStartingWith('0000000')).toEqual([])
  expect(await mirror.commitsStartingWith('a'.repeat(50))).toEqual([])
  expect(await mirror.commitsStartingWith('main')).toEqual([])
})

test('an abbreviated id leads to all commits that share it, and to no other objects', async () => {
  const { origin } = workspace
  for (let i = 0; i < 4; i++) await origin.commit({ [`f${i}`]: String(i) })
  const tree = await origin.git('rev-parse', 'HEAD^{tree}')
  // Among 1500 commits some share 4 digits.
  let input = ''
  for (let i = 0; i < 1500; i++)
    input += `commit refs/heads/many\ncommitter a <a@b> ${i} +0000\ndata 0\n\n`
  const { GIT_DIR: _, ...env } = process.env
  execFileSync('git', ['fast-import', '--quiet'], { cwd: origin.folder, input, env })
  const ids = (await origin.git('rev-list', '--all')).split('\n')
  const prefixes = Map.groupBy(ids, (id) => id.slice(0, 4))
  const [prefix, sharing] = [...prefixes].find(([, group]) => group.length > 1) ?? []
  const mirror = workspace.mirror()
  await mirror.fetch()
  expect(await mirror.commitsStartingWith(prefix ?? '')).toEqual(sharing?.sort())
  expect(await mirror.commitsStartingWith(tree.slice(0, 12))).toEqual([])
})

test('a repository with SHA-256 ids is mirrored', async () => {
  await using sha256 = await MirrorWorkspace.create('--object-format=sha256')
  const first = await sha256.origin.commit({ a: '1' })
  expect(first).toHaveLength(64)
  const mirror = sha256.mirror()
  expect(tableOf(await mirror.fetch()).refs.get('refs/heads/main')).toBe(first)
  expect(await mirror.isReachable(first)).toBe(true)
  expect(await mirror.commitsStartingWith(first.slice(0, 50))).toEqual([first])
  expect(await mirror.readFile(first, 'a')).toBe('1')
})
