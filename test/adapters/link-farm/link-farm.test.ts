import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  compareRank,
  linkFarmEntries,
} from '../../../service/adapters/link-farm/link-farm-entries.ts'
import { bytesOf } from '../../../service/adapters/tar/byte-string.ts'
import type { LinkFarm, LinkFarmPackage } from '../../../service/image/link-farm.ts'
import { compareCodeUnits } from '../../../service/text/order.ts'

let store: string

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'slipway-link-farm-'))
})

afterEach(() => {
  rmSync(store, { recursive: true })
})

/** Creates files below the store folder. A content `→ target` gives a symlink, a path that ends with `/` a directory. */
function make(tree: Record<string, string>): void {
  for (const [path, content] of Object.entries(tree)) {
    const place = join(store, path)
    mkdirSync(path.endsWith('/') ? place : dirname(place), { recursive: true })
    if (path.endsWith('/')) continue
    if (content.startsWith('→ ')) symlinkSync(content.slice(2), place)
    else writeFileSync(place, content)
  }
}

function requested(name: string, rest: Partial<LinkFarmPackage> = {}): LinkFarmPackage {
  return { name, storePath: `/nix/store/${name}`, priority: 5, isRequested: true, ...rest }
}

function linkFarmOf(...packages: (string | LinkFarmPackage)[]): LinkFarm {
  return { packages: packages.map((it) => (typeof it === 'string' ? requested(it) : it)) }
}

/** Returns path → description of each entry, without the entries of every image. */
function read(linkFarm: LinkFarm): Record<string, string> {
  const always = ['nix', 'nix/store', 'tmp', 'etc', 'etc/group', 'etc/passwd']
  return Object.fromEntries(
    Object.entries(readAll(linkFarm)).filter(([path]) => !always.includes(path)),
  )
}

function readAll(linkFarm: LinkFarm): Record<string, string> {
  const { entries } = linkFarmEntries(linkFarm, store)
  return Object.fromEntries(
    entries.map((entry) => {
      const { path } = entry
      if (entry.kind === 'symlink') return [path, `→ ${entry.target}`]
      if (entry.kind === 'store-file') throw new Error(`${path} is no link`)
      const mode = entry.mode.toString(8)
      if (entry.kind === 'directory') return [path, `directory ${mode}`]
      return [path, `file ${mode} ${entry.bytes}`]
    }),
  )
}

test('every image has /tmp, /etc/passwd, /etc/group and the folders of the store', () => {
  expect(readAll({ packages: [] })).toEqual({
    etc: 'directory 755',
    'etc/group': 'file 644 root:x:0:\nnobody:x:65534:\n',
    'etc/passwd':
      'file 644 root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n',
    nix: 'directory 755',
    'nix/store': 'directory 755',
    tmp: 'directory 1777',
  })
})

test('files of packages become symlinks into the store, and directories stay directories', () => {
  make({ 'git/bin/git': '', 'git/bin/gitk': '→ git', 'git/empty/': '', 'htop/bin/htop': '' })
  expect(read(linkFarmOf('git', 'htop'))).toEqual({
    bin: 'directory 755',
    'bin/git': '→ /nix/store/git/bin/git',
    'bin/gitk': '→ /nix/store/git/bin/gitk',
    'bin/htop': '→ /nix/store/htop/bin/htop',
    empty: 'directory 755',
  })
})

test('the entries of a link farm are in byte order of their paths', () => {
  make({ 'a/lib/x': '', 'a/lib.so': '', 'a/lib-x/y': '', 'b/libz': '', 'b/zz/z': '', 'b/a': '' })
  const paths = linkFarmEntries(linkFarmOf('a', 'b'), store).entries.map(({ path }) => path)
  expect(paths).toEqual(paths.toSorted(compareCodeUnits))
})

test('a link farm keeps names that are not UTF-8', () => {
  mkdirSync(join(store, 'a'))
  writeFileSync(Buffer.concat([Buffer.from(`${store}/a/`), bytesOf('\xff')]), '')
  expect(read(linkFarmOf('a'))).toEqual({ '\xff': '→ /nix/store/a/\xff' })
})

test('a package that is a single file adds nothing to the link farm', () => {
  make({ file: '', 'link-to-file': '→ file' })
  expect(read(linkFarmOf('file', 'link-to-file'))).toEqual({})
})

test('a package that is a symlink to a directory adds the content of that directory', () => {
  make({ 'real/bin/x': '', alias: '→ /nix/store/real' })
  expect(read(linkFarmOf('alias'))['bin/x']).toBe('→ /nix/store/real/bin/x')
})

test('a package that does not exist is an error that names it', () => {
  expect(() => read(linkFarmOf('absent'))).toThrow(/ENOENT.*absent/)
})

test('a fifo in a package is an error that names it', () => {
  make({ 'a/x': '' })
  execFileSync('mkfifo', [join(store, 'a/pipe')])
  expect(() => read(linkFarmOf('a'))).toThrow(/a\/pipe is neither/)
})

test("a package's /nix is left out, and its share/nix is kept", () => {
  make({ 'a/nix/store/x': '', 'a/share/nix/y': '', 'b/nix': '→ /nix/store/a' })
  expect(read(linkFarmOf('a', 'b'))).toEqual({
    share: 'directory 755',
    'share/nix': 'directory 755',
    'share/nix/y': '→ /nix/store/a/share/nix/y',
  })
})

test('/usr/bin/env links to the env of the image, unless a package has that file', () => {
  make({
    'coreutils/bin/env': '',
    'own/usr/bin/env': '',
    'linked/usr': '→ sys',
    'linked/sys/a': '',
  })
  const env = '/nix/store/coreutils'
  expect(read({ ...linkFarmOf(), env })['usr/bin/env']).toBe('→ /nix/store/coreutils/bin/env')
  expect(read({ ...linkFarmOf('own'), env })['usr/bin/env']).toBe('→ /nix/store/own/usr/bin/env')
  expect(read({ ...linkFarmOf('linked'), env })).toMatchObject({
    'usr/a': '→ /nix/store/linked/sys/a',
    'usr/bin/env': '→ /nix/store/coreutils/bin/env',
  })
})

test("a package's /etc/passwd replaces the default one", () => {
  make({ 'users/etc/passwd': '' })
  const all = readAll(linkFarmOf('users'))
  expect(all['etc/passwd']).toBe('→ /nix/store/users/etc/passwd')
  expect(all['etc/group']).toMatch(/^file 644 root/)
})

test('/tmp stays a directory of mode 1777, whatever packages have at that path', () => {
  make({ 'a/tmp': 'a file', 'b/tmp/b': '' })
  const { collisions } = linkFarmEntries(linkFarmOf('a', 'b'), store)
  expect(readAll(linkFarmOf('a', 'b'))).toMatchObject({
    tmp: 'directory 1777',
    'tmp/b': '→ /nix/store/b/tmp/b',
  })
  expect(collisions).toEqual([{ path: 'tmp', kept: 'the image', dropped: ['a'] }])
})

test('of packages with the same file, the lower priority wins, then a requested package, then the name', () => {
  make({ 'a/bin/x': '', 'b/bin/x': '', 'c/bin/x': '', 'd/bin/x': '' })
  const winner = (...packages: LinkFarmPackage[]) => {
    const [collision] = linkFarmEntries({ packages }, store).collisions
    expect(read({ packages })['bin/x']).toBe(`→ /nix/store/${collision?.kept}/bin/x`)
    return collision
  }
  const added = requested('a', { isRequested: false })
  expect(winner(added, requested('c'), requested('d', { priority: -1 }), requested('b'))).toEqual({
    path: 'bin/x',
    kept: 'd',
    dropped: ['b', 'c', 'a'],
  })
  expect(winner(added, requested('c'), requested('b'))).toMatchObject({
    kept: 'b',
    dropped: ['c', 'a'],
  })
  expect(winner(added, requested('b', { priority: 6 }))).toMatchObject({ kept: 'a' })
})

test('the same package under two names does not collide with itself', () => {
  make({ 'a/bin/x': '' })
  const packages = [requested('a'), requested('alias', { storePath: '/nix/store/a' })]
  expect(linkFarmEntries({ packages }, store).collisions).toEqual([])
})

test('a symlink to a directory stays a symlink if no other package has its path', () => {
  make({ 'a/lib/x': '', 'a/lib64': '→ lib', 'b/bin/y': '' })
  expect(read(linkFarmOf('a', 'b')).lib64).toBe('→ /nix/store/a/lib64')
})

test('a symlink to a directory is merged with a directory, whichever ranks higher', () => {
  make({ 'a/lib/x': '', 'a/lib64': '→ lib', 'b/lib64/y': '' })
  const merged = {
    lib64: 'directory 755',
    'lib64/x': '→ /nix/store/a/lib/x',
    'lib64/y': '→ /nix/store/b/lib64/y',
  }
  expect(read(linkFarmOf('a', 'b'))).toMatchObject(merged)
  expect(read(linkFarmOf('a', requested('b', { priority: 1 })))).toMatchObject(merged)
  expect(linkFarmEntries(linkFarmOf('a', 'b'), store).collisions).toEqual([])
})

test('symlinks to directories are merged, also through chains of symlinks and other store paths', () => {
  make({
    'a/share': '→ /nix/store/dep/data',
    'dep/data': '→ real',
    'dep/real/man/1': '',
    'b/share': '→ ../other/share',
    'other/share/man/2': '',
  })
  expect(read(linkFarmOf('a', 'b'))).toEqual({
    share: 'directory 755',
    'share/man': 'directory 755',
    'share/man/1': '→ /nix/store/dep/real/man/1',
    'share/man/2': '→ /nix/store/other/share/man/2',
  })
})

test.for(['/etc', '../../../etc', '→loop', 'absent', 'file', '/nix/store', '..', '/nix/storeroom'])(
  'a symlink to %s is not merged, because it leads to no directory of the store',
  (target) => {
    make({ 'a/x': `→ ${target}`, 'a/→loop': '→ →loop', 'a/file': '', 'b/x/y': '' })
    // `..` in a store path leads to the store itself.
    expect(read(linkFarmOf('a', 'b')).x).toBe('→ /nix/store/a/x')
    expect(linkFarmEntries(linkFarmOf('a', 'b'), store).collisions).toEqual([
      { path: 'x', kept: 'a', dropped: ['b'] },
    ])
    expect(read(linkFarmOf('a', requested('b', { priority: 1 })))).toMatchObject({
      x: 'directory 755',
      'x/y': '→ /nix/store/b/x/y',
    })
  },
)

test('the better ranked package decides if one has a file where another has a directory', () => {
  make({ 'a/x': 'file', 'b/x/y': '', 'c/x/z': '' })
  expect(read(linkFarmOf('a', 'b', 'c'))).toEqual({ x: '→ /nix/store/a/x' })
  expect(read(linkFarmOf(requested('a', { priority: 9 }), 'b', 'c'))).toEqual({
    x: 'directory 755',
    'x/y': '→ /nix/store/b/x/y',
    'x/z': '→ /nix/store/c/x/z',
  })
})

test('a merge of symlinks in cycles ends and keeps all files', () => {
  make({
    'a/x/self': '→ .',
    'a/x/up': '→ ..',
    'a/x/a': '',
    'b/x/self': '→ .',
    'b/x/up': '→ ..',
    'b/x/b': '',
    'a/p': '→ q',
    'a/q/p': '→ ../p',
    'b/p/q/p': '→ /nix/store/a/p',
    'b/q': '→ p',
  })
  const linkFarm = read(linkFarmOf('a', 'b'))
  expect(linkFarm).toMatchObject({
    'x/a': '→ /nix/store/a/x/a',
    'x/b': '→ /nix/store/b/x/b',
    'x/self': '→ /nix/store/a/x/self',
  })
  expect(Object.keys(linkFarm).length).toBeLessThan(50)
})

test('the link farm does not depend on the order of the packages', () => {
  make({
    'a/bin/x': '',
    'a/lib': '→ /nix/store/c/lib',
    'b/bin/x': '',
    'b/lib/y': '',
    'c/lib/y': '',
    'c/bin': 'a file',
    'd/lib64': '→ lib',
    'd/lib/y/z': '',
  })
  const packages = ['a', 'b', 'c', 'd'].map((name, at) => requested(name, { priority: at % 2 }))
  const expected = linkFarmEntries({ packages }, store)
  fc.assert(
    fc.property(fc.shuffledSubarray(packages, { minLength: packages.length }), (shuffled) => {
      expect(linkFarmEntries({ packages: shuffled }, store)).toEqual(expected)
    }),
    { numRuns: 20 },
  )
  expect(packages.toSorted(compareRank).map(({ name }) => name)).toEqual(['a', 'c', 'b', 'd'])
})
