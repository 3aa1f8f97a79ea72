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

/** Returns a folder for the PATH that contains a file `setpriv` of this mode. */
async function folderWithSetpriv(name: string, mode: number): Promise<string> {
  const path = join(folder.path, name)
  await mkdir(path)
  await writeFile(join(path, 'setpriv'), '', { mode })
  return path
}

test('Nix is started through setpriv if the PATH has one that can be executed', async () => {
  const path = [join(folder.path, 'none'), await folderWithSetpriv('good', 0o755)].join(':')
  const [program, args] = launched(await findLauncher(path), 'nix-store', ['--add'])
  expect([program, ...args]).toEqual(['setpriv', '--pdeathsig', 'TERM', '--', 'nix-store', '--add'])
})

test('Nix is started without setpriv if the PATH has none that can be executed', async () => {
  const path = [join(folder.path, 'none'), await folderWithSetpriv('bad', 0o644)].join(':')
  const launcher = await findLauncher(path)
  expect(launched(launcher, 'nix-store', ['--add'])).toEqual(['nix-store', ['--add']])
})
