import { execFileSync, spawnSync } from 'node:child_process'
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { byteString, bytesOf } from '../../../service/adapters/tar/byte-string.ts'
import type { TarEntry } from '../../../service/adapters/tar/entry.ts'
import { encodeHeader } from '../../../service/adapters/tar/header.ts'
import { storeEntries } from '../../../service/adapters/tar/store-entries.ts'
import { chunkSize, writeTar } from '../../../service/adapters/tar/write-tar.ts'
import { compareCodeUnits } from '../../../service/text/order.ts'

let folder: string
let store: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-tar-'))
  store = join(folder, 'store')
  mkdirSync(store)
})

afterEach(() => {
  execFileSync('chmod', ['-R', 'u+w', folder])
  rmSync(folder, { recursive: true })
})

/** Returns the archive of entries. */
function archive(entries: Iterable<TarEntry>): Buffer {
  const chunks: Buffer[] = []
  writeTar(entries, {
    nextBuffer: () => Buffer.alloc(chunkSize),
    add: (chunk) => chunks.push(chunk),
  })
  expect(chunks.slice(0, -1).every(({ length }) => length === chunkSize)).toBe(true)
  return Buffer.concat(chunks)
}

function archiveOf(...names: string[]): Buffer {
  const paths = names.map((name) => `/nix/store/${name}`)
  return archive(storeEntries(paths, store))
}

/** Lists an archive with GNU tar, one line for each entry, with escaped names. */
function listing(bytes: Buffer): string[] {
  const options = ['-tv', '--numeric-owner', '--full-time', '--quoting-style=escape']
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
  const result = spawnSync('tar', options, { input: bytes, env, maxBuffer: 1e8 })
  expect(result.stderr.toString()).toBe('')
  return result.stdout.toString().trimEnd().split('\n')
}

function names(bytes: Buffer): string[] {
  return listing(bytes).map((line) => line.replace(/^(\S+ +){5}/, '').replace(/ -> .*/, ''))
}

/** Unpacks an archive with GNU tar; returns the folder that stands for /nix/store. */
function unpack(bytes: Buffer): string {
  const target = mkdtempSync(join(folder, 'unpacked-'))
  execFileSync('tar', ['-x', '-C', target], { input: bytes, env: { ...process.env, LC_ALL: 'C' } })
  return join(target, 'nix/store')
}

test('directories, files, executables and symlinks have the modes and times that Nix gives them', () => {
  mkdirSync(join(store, 'a/bin'), { recursive: true })
  mkdirSync(join(store, 'a/empty'))
  writeFileSync(join(store, 'a/bin/run'), 'run', { mode: 0o755 })
  writeFileSync(join(store, 'a/data'), 'data!', { mode: 0o600 })
  symlinkSync('../missing', join(store, 'a/link'))
  writeFileSync(join(store, 'single'), 'x', { mode: 0o744 })
  symlinkSync('/nix/store/a', join(store, 'top-link'))

  const time = '1970-01-01 00:00:01'
  expect(
    listing(archiveOf('single', 'top-link', 'a')).map((line) => line.replace(/ +/g, ' ')),
  ).toEqual([
    `drwxr-xr-x 0/0 0 ${time} nix/`,
    `drwxr-xr-x 0/0 0 ${time} nix/store/`,
    `dr-xr-xr-x 0/0 0 ${time} nix/store/a/`,
    `dr-xr-xr-x 0/0 0 ${time} nix/store/a/bin/`,
    `-r-xr-xr-x 0/0 3 ${time} nix/store/a/bin/run`,
    `-r--r--r-- 0/0 5 ${time} nix/store/a/data`,
    `dr-xr-xr-x 0/0 0 ${time} nix/store/a/empty/`,
    `lrwxrwxrwx 0/0 0 ${time} nix/store/a/link -> ../missing`,
    `-r-xr-xr-x 0/0 1 ${time} nix/store/single`,
    `lrwxrwxrwx 0/0 0 ${time} nix/store/top-link -> /nix/store/a`,
  ])
})

test('files keep their content, also with sizes around 512 bytes and around a chunk', () => {
  mkdirSync(join(store, 'a'))
  const sizes = [0, 1, 511, 512, 513, 1024 * 1024]
  for (const around of [chunkSize, 2 * chunkSize]) {
    // Headers and padding shift the end of a chunk, so one of these files ends exactly with a chunk.
    for (let off = -2048; off <= 512; off += 512) sizes.push(around + off, around + off - 1)
  }
  for (const size of sizes) writeFileSync(join(store, `a/${size}`), Buffer.alloc(size, `${size} `))
  const bytes = archiveOf('a')
  expect(bytes.length % 512).toBe(0)
  const unpacked = unpack(bytes)
  for (const size of sizes) {
    const content = readFileSync(join(unpacked, `a/${size}`))
    expect(content.equals(readFileSync(join(store, `a/${size}`)))).toBe(true)
  }
})

test('names of any length are kept, in a ustar header alone if they fit into it', () => {
  const prefix = 'nix/store/a/'
  mkdirSync(join(store, 'a'))
  const expected = ['nix/', 'nix/store/', prefix]
  const add = (path: string, kind: 'file' | 'directory') => {
    const onDisk = join(store, path.slice('nix/store/'.length))
    if (kind === 'directory') mkdirSync(onDisk, { recursive: true })
    else writeFileSync(onDisk, 'x')
    expected.push(kind === 'directory' ? `${path}/` : path)
  }
  const long = `${prefix}${'d'.repeat(100 - prefix.length - 2)}`
  add(long, 'directory')
  for (const length of [99, 100, 101, 154, 155, 156, 255]) {
    add(prefix + 'f'.repeat(length - prefix.length), 'file')
    const nested = length - long.length - 1
    if (nested > 0 && nested < 250) add(`${long}/${'g'.repeat(nested)}`, 'file')
    if (nested > 0 && nested < 250) add(`${long}/${'e'.repeat(nested)}`, 'directory')
  }
  // The maximum of ustar, 155 + 1 + 100 bytes, and one byte more on either side of the slash.
  const deep = `${long}/${'h'.repeat(155 - long.length - 1)}`
  add(deep, 'directory')
  add(`${deep}/${'i'.repeat(100)}`, 'file')
  add(`${deep}/${'i'.repeat(101)}`, 'file')
  add(`${deep}/${'j'.repeat(99)}`, 'directory')
  add(`${deep}/${'j'.repeat(100)}`, 'directory')
  add(`${deep}x`, 'directory')
  add(`${deep}x/${'i'.repeat(100)}`, 'file')
  add(`${deep}x/${'i'.repeat(144)}`, 'file')

  const bytes = archiveOf('a')
  expect(names(bytes).sort()).toEqual(expected.sort())

  const header = (path: string) =>
    encodeHeader({ kind: 'directory', path: byteString(path), mode: 0o555 })
  expect(header(`${deep}/${'j'.repeat(99)}`)).toHaveLength(512)
  expect(header(`${deep}/${'j'.repeat(100)}`)).toHaveLength(512 * 3)
})

test('symlink targets of any length are kept', () => {
  mkdirSync(join(store, 'a'))
  const lengths = [1, 99, 100, 101, 155, 300, 4000]
  for (const length of lengths) symlinkSync('t'.repeat(length), join(store, `a/${length}`))
  const unpacked = unpack(archiveOf('a'))
  for (const length of lengths) {
    expect(readlinkSync(join(unpacked, `a/${length}`))).toBe('t'.repeat(length))
  }
})

test('names are kept as bytes, whether they are UTF-8 or not, with white space, short or long', () => {
  const raw = [
    'é ü 日本.txt',
    'space and\nnew line',
    'back\\slash',
    '\xff\xfe',
    `${'\xe9'.repeat(120)}`,
  ]
    .map((name) => (/[\u0100-\uffff]/.test(name) ? Buffer.from(name) : bytesOf(name)))
    .sort(Buffer.compare)
  const at = (root: string, name: Buffer) => Buffer.concat([Buffer.from(`${root}/a/`), name])
  mkdirSync(join(store, 'a'))
  for (const name of raw) {
    writeFileSync(at(store, name), name)
    symlinkSync(name, at(store, Buffer.concat([Buffer.from('link '), name])))
  }
  const unpacked = unpack(archiveOf('a'))
  const found = readdirSync(join(unpacked, 'a'), { encoding: 'buffer' }).sort(Buffer.compare)
  expect(found.filter((name) => !name.toString().startsWith('link '))).toEqual(raw)
  for (const name of raw) {
    expect(readFileSync(at(unpacked, name))).toEqual(name)
    const link = at(unpacked, Buffer.concat([Buffer.from('link '), name]))
    expect(readlinkSync(link, 'buffer')).toEqual(name)
  }
})

test('a hard link becomes a file with its own content', () => {
  mkdirSync(join(store, 'a'))
  writeFileSync(join(store, 'a/one'), 'same')
  linkSync(join(store, 'a/one'), join(store, 'a/two'))
  const unpacked = unpack(archiveOf('a'))
  expect(readFileSync(join(unpacked, 'a/two'), 'utf8')).toBe('same')
  expect(lstatSync(join(unpacked, 'a/two')).nlink).toBe(1)
})

test('the entries of a store path are in byte order of their paths', () => {
  for (const path of ['a/x', 'a.b', 'a-', 'a0', 'ab/y', 'a/x.d/z', 'a/x/z', '\u00e9', 'B']) {
    mkdirSync(join(store, 's', path), { recursive: true })
  }
  const paths = [...storeEntries(['/nix/store/s'], store)].map(({ path }) => path)
  expect(paths).toEqual(paths.toSorted(compareCodeUnits))
  expect(paths).toHaveLength(3 + 12)
  expect(paths.slice(4, 8).map(String)).toEqual(
    ['a', 'a-', 'a.b', 'a/x'].map((path) => `nix/store/s/${path}`),
  )
})

test('an archive depends neither on the order in which files were created nor on the order of the store paths', () => {
  const files = ['z', 'a', 'm/b', 'm/a', 'k.x', 'k/x']
  const make = (name: string, order: readonly string[]) => {
    for (const file of order) {
      mkdirSync(join(store, name, file, '..'), { recursive: true })
      writeFileSync(join(store, name, file), file)
    }
  }
  make('one', files)
  make('two', files)
  const before = archiveOf('one', 'two')
  expect(archiveOf('two', 'one', 'two').equals(before)).toBe(true)
  rmSync(join(store, 'one'), { recursive: true })
  make('one', files.toReversed())
  expect(archiveOf('one', 'two').equals(before)).toBe(true)
})

test('a header keeps sizes of 8 GiB and more', () => {
  const path = 'nix/store/large'
  const sizes = [8 * 2 ** 30 - 1, 8 * 2 ** 30, 2 ** 40 + 1]
  for (const size of sizes) {
    const header = encodeHeader({ kind: 'file', path, mode: 0o444, size })
    // tar lists the entry, and then fails because the content is missing.
    const { stdout } = spawnSync('tar', ['-tv'], { input: header })
    expect(stdout.toString()).toContain(` ${size} `)
  }
})

test('a fifo in a store path is an error that names it', () => {
  mkdirSync(join(store, 'a'))
  execFileSync('mkfifo', [join(store, 'a/pipe')])
  expect(() => archiveOf('a')).toThrow(
    `${store}/a/pipe is neither a directory, a file nor a symlink`,
  )
})

test.for(['/etc/passwd', '/nix/store', '/nix/store/', '/nix/store/..', '/nix/store/a/bin', 'a'])(
  'the path %s is rejected: it is not a store path',
  (path) => {
    expect(() => archive(storeEntries([path], store))).toThrow(/is not a store path/)
  },
)

test('a store path that does not exist is an error that names it', () => {
  expect(() => archiveOf('absent')).toThrow(/ENOENT.*\/absent/)
})

test.each([
  ['more', '/proc', 'version'],
  ['fewer', '/sys/kernel', 'profiling'],
])('a file that holds %s bytes than its size says is an error', (_, folder, name) => {
  const path = `${folder}/${name}`
  const entries = storeEntries([`/nix/store/${name}`], folder)
  expect(() => archive(entries)).toThrow(`${path} changed while it was read`)
})

test('a file that changes while it is read is an error', () => {
  const path = join(store, 'file')
  writeFileSync(path, Buffer.alloc(3 * chunkSize))
  const sink = {
    nextBuffer: () => Buffer.alloc(chunkSize),
    add: () => truncateSync(path, chunkSize),
  }
  const entries = storeEntries(['/nix/store/file'], store)
  expect(() => writeTar(entries, sink)).toThrow(`${path} changed while it was read`)
})

test('a file that became a symlink is not followed', () => {
  writeFileSync(join(store, 'file'), 'x')
  const entries = [...storeEntries(['/nix/store/file'], store)]
  rmSync(join(store, 'file'))
  symlinkSync('/etc/hostname', join(store, 'file'))
  expect(() => archive(entries)).toThrow(/ELOOP/)
})
