import { beforeEach, expect, test } from 'vitest'
import { SourceTrees } from '../../service/build/source-trees.ts'
import { Failure } from '../../service/image/errors.ts'
import { FakeNix } from '../support/fake-nix.ts'
import { FakeSource } from '../support/fake-source.ts'

let source: FakeSource
let nix: FakeNix
let trees: SourceTrees

beforeEach(() => {
  source = new FakeSource({})
  nix = new FakeNix({}, [])
  trees = new SourceTrees(source, nix)
})

const one = { id: '1'.repeat(40) }
const two = { id: '2'.repeat(40) }

test('the tree of a revision is exported once', async () => {
  const folder = await trees.folderOf(one)
  expect(nix.sources).toContain(folder)
  expect(await trees.folderOf(one)).toBe(folder)
  expect(source.exports).toEqual([one.id])
})

test('concurrent requests for the tree of a revision share one export', async () => {
  const folders = await Promise.all(Array.from({ length: 16 }, () => trees.folderOf(one)))
  expect(new Set(folders).size).toBe(1)
  expect(source.exports).toEqual([one.id])
})

test('two refs at one commit share one source tree', async () => {
  await trees.folderOf({ ...one, ref: 'refs/tags/a' })
  await trees.folderOf({ ...one, ref: 'refs/heads/b' })
  expect(source.exports).toEqual([one.id])
})

test('two revisions have different source trees', async () => {
  expect(await trees.folderOf(one)).not.toBe(await trees.folderOf(two))
  expect(source.exports).toEqual([one.id, two.id])
})

test('a live folder is its own source tree, and is not exported', async () => {
  expect(await trees.folderOf({ id: 'live', liveFolder: '/packages' })).toBe('/packages')
  expect(source.exports).toEqual([])
})

test('a source tree that garbage collection deleted is exported again, once', async () => {
  nix.sources.delete(await trees.folderOf(one))
  const folders = await Promise.all([trees.folderOf(one), trees.folderOf(one)])
  expect(source.exports).toEqual([one.id, one.id])
  expect(nix.sources).toContain(folders[0])
  expect(folders[1]).toBe(folders[0])
})

test('the 101st source tree releases the GC roots of the first', async () => {
  const released: string[] = []
  nix.release = async (roots) => void released.push(roots)
  for (let id = 0; id <= 100; id++) await trees.folderOf({ id: String(id) })
  expect(released).toEqual(['source-0'])
})

test('the next request repeats a failed export', async () => {
  nix.before = () => {
    throw new Failure('unavailable', 'no space left')
  }
  await expect(trees.folderOf(one)).rejects.toMatchObject({ kind: 'unavailable' })
  nix.before = () => {}
  expect(nix.sources).toContain(await trees.folderOf(one))
})
