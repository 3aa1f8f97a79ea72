import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StateFolder } from '../../../service/adapters/filesystem/state-folder.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

test('a state folder is created for its owner only', async () => {
  await using folder = await TemporaryFolder.create()
  const path = join(folder.path, 'a/state')
  await StateFolder.open(path)
  expect((await stat(path)).mode & 0o777).toBe(0o700)
})

test('temporary files, GC roots and the empty home of an earlier process are removed', async () => {
  await using folder = await TemporaryFolder.create()
  const first = await StateFolder.open(folder.path)
  const folders = [first.temporary, first.roots, first.emptyHome]
  for (const path of folders) await writeFile(join(path, 'left'), '')
  await StateFolder.open(folder.path)
  expect(await Promise.all(folders.map((path) => readdir(path)))).toEqual([[], [], []])
})

test('the instance keeps its name, and mirrors and foreign files are kept', async () => {
  await using folder = await TemporaryFolder.create()
  await mkdir(join(folder.path, 'mirrors/one'), { recursive: true })
  await mkdir(join(folder.path, 'tmp/somebody'), { recursive: true })
  const first = await StateFolder.open(folder.path)
  const second = await StateFolder.open(folder.path)
  expect(second.instance).toMatch(/^[0-9a-f-]{36}$/)
  expect(second.instance).toBe(first.instance)
  expect(await readdir(join(folder.path, 'mirrors'))).toEqual(['one'])
  expect(await readdir(join(folder.path, 'tmp'))).toEqual(['somebody'])
})

test('a damaged name of the instance is replaced', async () => {
  await using folder = await TemporaryFolder.create()
  await writeFile(join(folder.path, 'instance'), 'half a na')
  expect((await StateFolder.open(folder.path)).instance).toMatch(/^[0-9a-f-]{36}$/)
})

test('a state folder that cannot be used is an error with its path', async () => {
  await using folder = await TemporaryFolder.create()
  const path = join(folder.path, 'file')
  await writeFile(path, '')
  await expect(StateFolder.open(path)).rejects.toThrow(`the state folder ${path} cannot be used`)
})
