import { readdirSync, readlinkSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DirectorySyncs } from '../../../service/adapters/filesystem/directory-syncs.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

let folder: TemporaryFolder
let syncs: DirectorySyncs

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  syncs = new DirectorySyncs()
})
afterEach(() => folder[Symbol.asyncDispose]())

test('calls during an fsync share the next one', async () => {
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

test('a failed fsync rejects the waiting calls, and later calls try again', async () => {
  const missing = join(folder.path, 'missing')
  const failing = syncs.sync(missing)
  const next = syncs.sync(missing)
  await expect(failing).rejects.toThrow(/ENOENT/)
  await expect(next).rejects.toThrow(/ENOENT/)
  await mkdir(missing)
  await expect(syncs.sync(missing)).resolves.toBeUndefined()
})

describe.runIf(process.platform === 'linux')('open directories', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  test('a directory stays open for a second, however often it is synced meanwhile', async () => {
    for (let second = 0; second < 2; second += 1) {
      await syncs.sync(folder.path)
      vi.advanceTimersByTime(900)
      await syncs.sync(folder.path)
      expect(open()).toEqual([folder.path])
      vi.advanceTimersByTime(200)
      await pause()
      expect(open()).toEqual([])
    }
  })

  test('forgetting a directory does not fail the waiting calls', async () => {
    const waiting = [syncs.sync(folder.path), syncs.sync(folder.path)]
    syncs.forget(folder.path)
    await expect(Promise.all(waiting)).resolves.toBeDefined()
    await pause()
    expect(open()).toEqual([folder.path])
  })

  test('a directory that was created again is opened again, at once after forget and else after a second', async () => {
    const changing = join(folder.path, 'changing')
    const createAgain = async () => {
      await rm(changing, { recursive: true, force: true })
      await mkdir(changing)
    }
    await createAgain()
    await syncs.sync(changing)
    await createAgain()
    syncs.forget(changing)
    await syncs.sync(changing)
    expect(open()).toEqual([changing])
    await createAgain()
    // Continual calls do not keep it open.
    for (let time = 0; time < 3; time += 1) {
      vi.advanceTimersByTime(400)
      await syncs.sync(changing)
    }
    expect(open()).toEqual([changing])
  })

  /** Returns the files of this process in the folder. Linux marks the name of a deleted one. */
  function open(): string[] {
    const files = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        // The descriptor of readdirSync itself is closed by now.
        return ''
      }
    })
    return files.filter((file) => file.startsWith(folder.path))
  }
})

/** Waits long enough for a file to be closed. */
async function pause(): Promise<void> {
  for (let round = 0; round < 100; round += 1) await setImmediate()
}
