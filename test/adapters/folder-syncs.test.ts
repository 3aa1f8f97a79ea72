import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
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

test.runIf(process.platform === 'linux')('a folder stays open for a second', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    await syncs.sync(folder.path)
    vi.advanceTimersByTime(900)
    await syncs.sync(folder.path)
    vi.advanceTimersByTime(900)
    expect(timesOpen(folder.path)).toBe(1)
    vi.advanceTimersByTime(200)
    await vi.waitUntil(() => timesOpen(folder.path) === 0)
    await syncs.sync(folder.path)
    expect(timesOpen(folder.path)).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})

/** In this process. */
function timesOpen(path: string): number {
  const files = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // It was the list's own.
      return undefined
    }
  })
  return files.filter((file) => file === path).length
}
