import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FolderSyncs } from '../../service/adapters/folder-syncs.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

let folder: TemporaryFolder
let syncs: FolderSyncs

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  syncs = new FolderSyncs()
})
afterEach(() => folder[Symbol.asyncDispose]())

test('who comes while a folder is synced waits for the next time, together', async () => {
  const ended: string[] = []
  const sync = (name: string) => syncs.sync(folder.path).then(() => void ended.push(name))
  const first = sync('first')
  const second = sync('second')
  const third = sync('third')
  await first
  expect(ended).toEqual(['first'])
  await Promise.all([second, third])
  expect(ended).toEqual(['first', 'second', 'third'])
})

test('a folder that cannot be synced is an error for those who wait, and no longer than that', async () => {
  const missing = join(folder.path, 'missing')
  const failing = syncs.sync(missing)
  const next = syncs.sync(missing)
  await expect(failing).rejects.toThrow(/ENOENT/)
  await expect(next).rejects.toThrow(/ENOENT/)
  await mkdir(missing)
  await expect(syncs.sync(missing)).resolves.toBeUndefined()
})
