/** scripts/start with a stub of `node`, which runs another program than the service. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

/** Prints the environment, and ends. */
const printEnvironment = 'console.log(JSON.stringify(process.env))'
/** Says that it runs, and ends with its stdin, or with code 7 at SIGTERM. */
const serve = `
  process.on('SIGTERM', () => process.exit(7))
  process.stdin.on('end', () => process.exit()).resume()
  console.log('serving')`
/** Like `serve`, and starts a process that outlives it. Prints the id of that process. */
const serveWithDaemon = `
  const { spawn } = require('node:child_process')
  console.log(spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).pid)
  ${serve}`

let folder: TemporaryFolder
let state: string
let bin: string
const started: ChildProcessByStdio<Writable, Readable, Readable>[] = []

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  state = join(folder.path, 'a state')
  bin = join(folder.path, 'bin')
  await mkdir(bin)
})
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  await folder[Symbol.asyncDispose]()
})

/** Starts a program in the place of the service. */
async function start(program: string, settings: Record<string, string> = {}) {
  const stub = `#!/bin/sh\n[ "$*" = service/main.ts ] && exec '${process.execPath}' -e "$PROGRAM"\n`
  await writeFile(join(bin, 'node'), stub, { mode: 0o755 })
  const PATH = bin + delimiter + process.env.PATH
  const env = { PATH, SLIPWAY_STATE_PATH: state, PROGRAM: program, ...settings }
  const child = spawn('scripts/start', { cwd: root, env, stdio: 'pipe' })
  started.push(child)
  return child
}

async function environmentOf(settings: Record<string, string> = {}) {
  const child = await start(printEnvironment, settings)
  return JSON.parse(await text(child.stdout)) as Record<string, string>
}

/** Starts a program that is expected to fail. */
async function failure(settings: Record<string, string> = {}) {
  const child = await start(serve, settings)
  const stderr = text(child.stderr)
  const [code] = await once(child, 'close')
  return { code, stderr: await stderr }
}

describe('the environment of node', () => {
  test('scripts/start limits the memory of Node and glibc', async () => {
    const { NODE_OPTIONS, MALLOC_ARENA_MAX } = await environmentOf()
    expect({ NODE_OPTIONS, MALLOC_ARENA_MAX }).toEqual({
      NODE_OPTIONS: '--max-semi-space-size=2 ',
      MALLOC_ARENA_MAX: '2',
    })
  })

  test('options of the user win: Node takes the last of two', async () => {
    const settings = { NODE_OPTIONS: '--max-semi-space-size=16', MALLOC_ARENA_MAX: '8' }
    const { NODE_OPTIONS, MALLOC_ARENA_MAX } = await environmentOf(settings)
    expect(NODE_OPTIONS?.endsWith(' --max-semi-space-size=16')).toBe(true)
    expect(MALLOC_ARENA_MAX).toBe('8')
  })

  test('the compile cache of the state folder is used if it exists', async () => {
    const compiled = join(state, 'compiled')
    expect((await environmentOf()).NODE_COMPILE_CACHE).toBeUndefined()
    await mkdir(compiled)
    expect((await environmentOf()).NODE_COMPILE_CACHE).toBe(compiled)
    const settings = { NODE_COMPILE_CACHE: '/other' }
    expect((await environmentOf(settings)).NODE_COMPILE_CACHE).toBe('/other')
  })
})

describe('the lock of the state folder', () => {
  /** Puts a `flock` on the PATH that waits for 0.2 s instead of 15. */
  async function impatientFlock(): Promise<void> {
    const script = `#!/bin/sh\nshift 2\nPATH='${process.env.PATH}' exec flock --timeout 0.2 "$@"\n`
    await writeFile(join(bin, 'flock'), script, { mode: 0o755 })
  }

  test('the state folder is created for its owner only', async () => {
    await environmentOf()
    expect((await stat(state)).mode & 0o777).toBe(0o700)
    expect((await stat(join(state, 'lock'))).mode & 0o777).toBe(0o600)
  })

  test('a second service waits for the first to end', async () => {
    const first = await start(serve)
    await once(first.stdout, 'data')
    const second = await start(serve)
    const serving = once(second.stdout, 'data')
    await untilItWaits(second.pid)
    first.stdin.end()
    await serving
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends the wait for the lock', async (signal) => {
    await once((await start(serve)).stdout, 'data')
    const second = await start(serve)
    await untilItWaits(second.pid)
    second.kill(signal)
    // `close` follows when no process of the second service is left that holds its output.
    expect(await once(second, 'close')).toEqual([0, null])
  })

  test('a second service gives up with a message', async () => {
    await once((await start(serve)).stdout, 'data')
    await impatientFlock()
    expect(await failure()).toEqual({
      code: 1,
      stderr: `slipway: ${state} is in use by another Slipway: end that one, or set SLIPWAY_STATE_PATH to another folder\n`,
    })
  })

  test('SIGKILL of a service releases the lock, also if a process that it started lives on', async () => {
    const first = await start(serveWithDaemon)
    const [output] = await once(first.stdout, 'data')
    const daemon = Number.parseInt(String(output), 10)
    try {
      first.kill('SIGKILL')
      await once(first, 'exit')
      await impatientFlock()
      await once((await start(serve)).stdout, 'data')
    } finally {
      expect(process.kill(daemon)).toBe(true)
    }
  })

  test('SIGTERM reaches node', async () => {
    const child = await start(serve)
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([7, null])
  })

  test('without flock the service does not start', async () => {
    const programs = join(folder.path, 'programs')
    await mkdir(programs)
    for (const name of ['sh', 'mkdir']) await symlink(`/bin/${name}`, join(programs, name))
    expect(await failure({ PATH: bin + delimiter + programs })).toEqual({
      code: 1,
      stderr: 'slipway: flock(1) is missing: install util-linux\n',
    })
  })

  test('a state folder that cannot be created or locked is an error', async () => {
    await writeFile(state, '')
    expect(await failure()).toEqual({
      code: 1,
      stderr: expect.stringMatching(`slipway: the state folder ${state} cannot be used\n$`),
    })
    await writeFile(join(bin, 'flock'), '#!/bin/sh\nexit 71\n', { mode: 0o755 })
    const other = join(folder.path, 'other')
    expect(await failure({ SLIPWAY_STATE_PATH: other })).toEqual({
      code: 1,
      stderr: `slipway: the state folder ${other} cannot be locked\n`,
    })
  })
})

/** Waits until a child of the shell runs flock. */
async function untilItWaits(shell: number | undefined): Promise<void> {
  const children = async () => {
    // ps fails as long as the shell has no child.
    const listing = run('ps', ['--ppid', String(shell), '-o', 'args=']).catch(() => undefined)
    return (await listing)?.stdout ?? ''
  }
  await expect.poll(children).toContain('flock --timeout 15')
}
