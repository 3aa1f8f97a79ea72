// What the start script hands to Node.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

let folder: TemporaryFolder

/** Has `node` show a program's environment in place of the service. */
beforeEach(async () => {
  folder = await TemporaryFolder.create()
  const program = 'const { env } = process; console.log(JSON.stringify(env))'
  const node = `#!/bin/sh\n[ "$*" = service/main.ts ] && exec '${process.execPath}' -e "${program}"\n`
  await writeFile(join(folder.path, 'node'), node, { mode: 0o755 })
})
afterEach(() => folder[Symbol.asyncDispose]())

async function start(settings: Record<string, string> = {}): Promise<Record<string, string>> {
  const env = { PATH: `${folder.path}:${process.env.PATH}`, SLIPWAY_STATE_PATH: folder.path }
  const { stdout } = await run('scripts/start', { cwd: root, env: { ...env, ...settings } })
  return JSON.parse(stdout)
}

test('memory is bounded', async () => {
  const { NODE_OPTIONS, MALLOC_ARENA_MAX } = await start()
  expect({ NODE_OPTIONS, MALLOC_ARENA_MAX }).toEqual({
    NODE_OPTIONS: '--max-semi-space-size=2 ',
    MALLOC_ARENA_MAX: '2',
  })
})

test('what the user sets counts: of two options Node takes the last', async () => {
  const settings = { NODE_OPTIONS: '--max-semi-space-size=16', MALLOC_ARENA_MAX: '8' }
  const { NODE_OPTIONS, MALLOC_ARENA_MAX } = await start(settings)
  expect(NODE_OPTIONS?.endsWith(' --max-semi-space-size=16')).toBe(true)
  expect(MALLOC_ARENA_MAX).toBe('8')
})

test('compiled code is used from the first module on, once there is some', async () => {
  const compiled = join(folder.path, 'compiled')
  expect((await start()).NODE_COMPILE_CACHE).toBeUndefined()
  await mkdir(compiled)
  expect((await start()).NODE_COMPILE_CACHE).toBe(compiled)
  expect((await start({ NODE_COMPILE_CACHE: '/other' })).NODE_COMPILE_CACHE).toBe('/other')
})
