// When make-package-set keeps, replaces or refuses a folder.
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)
const script = resolve(import.meta.dirname, '../../scripts/make-package-set')

let parent: TemporaryFolder
let folder: string

beforeEach(async () => {
  parent = await TemporaryFolder.create()
  folder = join(parent.path, 'a folder')
})
afterEach(() => parent[Symbol.asyncDispose]())

const make = (...args: string[]) => run(script, args)
const tags = async () => (await run('git', ['-C', folder, 'tag'])).stdout

test('make-package-set creates the repository in a new or an empty folder', async () => {
  await make(folder)
  expect(await tags()).toBe('release-v1\nrelease-v2\n')
  folder = join(parent.path, 'empty')
  await mkdir(folder)
  await make(folder)
  expect(await tags()).toBe('release-v1\nrelease-v2\n')
})

test('make-package-set keeps its own repository, and replaces it if the files have changed', async () => {
  await make(folder)
  await writeFile(join(folder, 'mine'), '')
  await make(folder)
  expect(await readdir(folder)).toContain('mine')
  await writeFile(join(folder, '.git/made-from'), 'unfinished\n')
  await make(folder)
  expect(await readdir(folder)).not.toContain('mine')
  expect(await tags()).toBe('release-v1\nrelease-v2\n')
})

test('make-package-set refuses any other folder, and a file', async () => {
  await mkdir(folder)
  await run('git', ['init', '--quiet', folder])
  await expect(make(folder)).rejects.toThrow(/was not made by scripts\/make-package-set/)
  expect(await readdir(folder)).toEqual(['.git'])
  const file = join(parent.path, 'file')
  await writeFile(file, 'text')
  await expect(make(file)).rejects.toThrow(/was not made by/)
  expect(await readFile(file, 'utf8')).toBe('text')
})

test('make-package-set without a folder prints its usage', async () => {
  await expect(make()).rejects.toThrow(/usage: scripts\/make-package-set FOLDER/)
})
