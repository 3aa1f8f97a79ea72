import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { StateFolder } from '../../../service/adapters/filesystem/state-folder.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

/** The next removal waits for the gate. */
const removing = vi.hoisted((): { gate: Promise<void> | undefined } => ({ gate: undefined }))

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>()
  const rm: typeof original.rm = async (...args) => {
    const { gate } = removing
    removing.gate = undefined
    await gate
    await original.rm(...args)
  }
  return { ...original, rm }
})

describe('a state folder', () => {
  test('is made for its owner alone', async () => {
    await using folder = await TemporaryFolder.create()
    const path = join(folder.path, 'a/state')
    await using _state = await StateFolder.open(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  test('is used by one process at a time', async () => {
    await using folder = await TemporaryFolder.create()
    await using state = await StateFolder.open(folder.path)
    await writeFile(join(state.temporary, 'precious'), '')
    await expect(StateFolder.open(folder.path, { patience: 0 })).rejects.toThrow(
      `${folder.path} is in use by another Slipway`,
    )
    expect(await readdir(state.temporary)).toEqual(['precious'])
  })

  test('waits for a process that is about to end', async () => {
    await using folder = await TemporaryFolder.create()
    const first = await StateFolder.open(folder.path)
    const second = StateFolder.open(folder.path)
    await first[Symbol.asyncDispose]()
    await using _state = await second
  })

  test('is free again after a process was killed, and what that left is cleared away', async () => {
    await using folder = await TemporaryFolder.create()
    await kill(await openElsewhere(folder.path))
    await using state = await StateFolder.open(folder.path, { patience: 0 })
    expect(await readdir(state.temporary)).toEqual([])
  })

  test('is free for one of many that find a killed process at the same moment', async () => {
    await using folder = await TemporaryFolder.create()
    await kill(await openElsewhere(folder.path))
    const all = Array.from({ length: 8 }, () => StateFolder.open(folder.path, { patience: 1500 }))
    expect(await countOpened(all)).toBe(1)
  })

  test('is not taken from a process by one that is slow to remove what a dead one left', async () => {
    await using folder = await TemporaryFolder.create()
    await kill(await openElsewhere(folder.path))
    const gate = Promise.withResolvers<void>()
    removing.gate = gate.promise
    const slow = StateFolder.open(folder.path, { patience: 0 })
    await vi.waitFor(() => expect(removing.gate).toBeUndefined())
    const quick = StateFolder.open(folder.path, { patience: 1000 })
    await Promise.race([quick, sleep(600)])
    gate.resolve()
    expect(await countOpened([slow, quick])).toBe(1)
  })

  test('stays that of a process which is too busy to answer', async () => {
    await using folder = await TemporaryFolder.create()
    const child = await openElsewhere(folder.path)
    child.kill('SIGSTOP')
    const [socket = ''] = await socketsBelow(folder.path)
    // More than may wait to be accepted.
    const waiting = Array.from({ length: 600 }, () => connect(socket).on('error', () => {}))
    try {
      await once(waiting.at(-1) ?? child, 'error')
      await expect(StateFolder.open(folder.path, { patience: 0 })).rejects.toThrow('is in use')
    } finally {
      for (const connection of waiting) connection.destroy()
      await kill(child)
    }
  })

  test('keeps the name of its instance, and everything that it did not make', async () => {
    await using folder = await TemporaryFolder.create()
    await mkdir(join(folder.path, 'mirrors/one'), { recursive: true })
    await mkdir(join(folder.path, 'tmp/somebody'), { recursive: true })
    const first = await StateFolder.open(folder.path)
    await first[Symbol.asyncDispose]()
    await using second = await StateFolder.open(folder.path)
    expect(second.instance).toBe(first.instance)
    expect(await readdir(join(folder.path, 'mirrors'))).toEqual(['one'])
    expect(await readdir(join(folder.path, 'tmp'))).toEqual(['somebody'])
  })
})

/** Another process, which uses the folder until it is killed. */
async function openElsewhere(path: string) {
  const module = resolve(
    import.meta.dirname,
    '../../../service/adapters/filesystem/state-folder.ts',
  )
  const script = `
    import { StateFolder } from ${JSON.stringify(module)}
    import { writeFileSync } from 'node:fs'
    const state = await StateFolder.open(process.argv[1])
    writeFileSync(state.temporary + '/left', '')
    console.log('open')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, path])
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** How many could use the folder at once; closes them all. */
async function countOpened(all: readonly Promise<StateFolder>[]): Promise<number> {
  const opened = (await Promise.allSettled(all)).filter((one) => one.status === 'fulfilled')
  for (const { value } of opened) await value[Symbol.asyncDispose]()
  return opened.length
}

async function socketsBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isSocket())
    .map(({ parentPath, name }) => join(parentPath, name))
}
