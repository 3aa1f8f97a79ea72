import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findLibrary } from '../../../service/adapters/packing/native-library.ts'

/** Two folders that each hold a `bin` and a `lib`. */
let folders: string[]

beforeEach(() => {
  folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'slipway-library-')))
  for (const folder of folders) mkdirSync(join(folder, 'lib'))
})

afterEach(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const path = () => folders.map((folder) => join(folder, 'bin')).join(':')
const libraryIn = (folder: string | undefined) => join(folder ?? '', 'lib/libcopy.so.2')

/** Copies a library that every process has. */
function addLibrary(folder: string | undefined): void {
  const maps = readFileSync('/proc/self/maps', 'utf8')
  const [libm] = /\/.*\/libm[.-].*$/m.exec(maps) ?? ['']
  copyFileSync(libm, libraryIn(folder))
}

test('a library that is not installed is reported as not found', async () => {
  expect(await findLibrary('libabsent.so.9', () => 'made')).toEqual({
    unused: [{ library: 'libabsent.so.9', failure: 'not found' }],
  })
})

test('a library without an expected function is reported as not working', async () => {
  const found = await findLibrary('libm.so.6', (library) => library.func('absent', 'int', []))
  expect(found.made).toBeUndefined()
  expect(found.unused).toEqual([
    {
      library: 'libm.so.6',
      path: 'libm.so.6',
      failure: expect.stringMatching(/^does not work: .*absent/),
    },
  ])
})

test('a library beside the programs of the PATH is found', async () => {
  addLibrary(folders[1])
  const found = await findLibrary('libcopy.so.2', () => 'made', `relative:${path()}`)
  expect(found).toEqual({ made: 'made', unused: [] })
  expect(await findLibrary('libcopy.so.2', () => 'made', '/bin')).not.toHaveProperty('made')
})

test('a file that is no library is reported with its path, and the next one is used', async () => {
  writeFileSync(libraryIn(folders[0]), 'text')
  const unused = [
    {
      library: 'libcopy.so.2',
      path: libraryIn(folders[0]),
      failure: expect.stringMatching(/^could not be loaded: .*(ELF|too short)/),
    },
  ]
  expect(await findLibrary('libcopy.so.2', () => 'made', path())).toEqual({ unused })
  addLibrary(folders[1])
  expect(await findLibrary('libcopy.so.2', () => 'made', path())).toEqual({ made: 'made', unused })
})
