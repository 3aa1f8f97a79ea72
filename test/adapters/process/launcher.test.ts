import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findLauncher, launched } from '../../../service/adapters/process/launcher.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

let folder: TemporaryFolder

beforeEach(async () => {
  folder = await TemporaryFolder.create()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** Creates a folder for the PATH, with a setpriv of this file mode. */
async function bin(name: string, mode: number): Promise<string> {
  const path = join(folder.path, name)
  await mkdir(path)
  await writeFile(join(path, 'setpriv'), '', { mode })
  return path
}

test('Nix is started through setpriv if the PATH has an executable one', async () => {
  const path = [join(folder.path, 'none'), await bin('good', 0o755)].join(':')
  const [program, args] = launched(await findLauncher(path), 'nix-store', ['--add'])
  expect([program, ...args]).toEqual(['setpriv', '--pdeathsig', 'TERM', '--', 'nix-store', '--add'])
})

test('Nix is started directly if the PATH has no executable setpriv', async () => {
  const path = [join(folder.path, 'none'), await bin('bad', 0o644)].join(':')
  expect(launched(await findLauncher(path), 'nix-store', ['--add'])).toEqual([
    'nix-store',
    ['--add'],
  ])
})
