import { beforeEach, expect, test } from 'vitest'
import { PackageSets } from '../../service/build/package-sets.ts'
import { Failure } from '../../service/image/errors.ts'
import { FakeNix } from '../support/fake-nix.ts'
import { FakeSource } from '../support/fake-source.ts'

let source: FakeSource
let nix: FakeNix
let sets: PackageSets

beforeEach(() => {
  source = new FakeSource({})
  nix = new FakeNix({}, [])
  sets = new PackageSets(source, nix)
})

const one = { id: '1'.repeat(40) }
const two = { id: '2'.repeat(40) }

test('a revision is exported once', async () => {
  const folder = await sets.folder(one)
  expect(nix.sources).toContain(folder)
  expect(await sets.folder(one)).toBe(folder)
  expect(source.exports).toEqual([one.id])
})

test('a revision is exported once, however many ask at the same time', async () => {
  const folders = await Promise.all(Array.from({ length: 16 }, () => sets.folder(one)))
  expect(new Set(folders).size).toBe(1)
  expect(source.exports).toEqual([one.id])
})

test('two refs with one commit are one revision', async () => {
  await sets.folder({ ...one, ref: 'refs/tags/a' })
  await sets.folder({ ...one, ref: 'refs/heads/b' })
  expect(source.exports).toEqual([one.id])
})

test('each revision has its own folder', async () => {
  expect(await sets.folder(one)).not.toBe(await sets.folder(two))
  expect(source.exports).toEqual([one.id, two.id])
})

test('a folder that garbage collection took is exported again', async () => {
  nix.sources.delete(await sets.folder(one))
  const folders = await Promise.all([sets.folder(one), sets.folder(one)])
  expect(source.exports).toEqual([one.id, one.id])
  expect(nix.sources).toContain(folders[0])
  expect(folders[1]).toBe(folders[0])
})

test('an export that fails is tried again by the next', async () => {
  nix.before = () => {
    throw new Failure('unavailable', 'no space left')
  }
  await expect(sets.folder(one)).rejects.toMatchObject({ kind: 'unavailable' })
  nix.before = () => {}
  expect(nix.sources).toContain(await sets.folder(one))
})
