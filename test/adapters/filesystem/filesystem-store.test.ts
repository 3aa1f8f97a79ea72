import { constants, existsSync, readdirSync } from 'node:fs'
import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FilesystemStore } from '../../../service/adapters/filesystem/filesystem-store.ts'
import type { ObjectStore } from '../../../service/storage/ports.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

let folder: TemporaryFolder
let root: string

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  root = join(folder.path, 'storage')
})
afterEach(() => folder[Symbol.asyncDispose]())

objectStoreContract('FilesystemStore', () => FilesystemStore.open(root))

async function list(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(prefix)) keys.push(key)
  return keys.sort()
}

describe('opening a storage folder', () => {
  test('open creates the storage folder and the folders above it', async () => {
    const store = await FilesystemStore.open(join(root, 'deep', 'down'))
    await store.put('a', Buffer.from('content'))
    expect(await readFile(join(root, 'deep', 'down', 'a'), 'utf8')).toBe('content')
  })

  test('open deletes staged files of a crash, and nothing else', async () => {
    const before = await FilesystemStore.open(root)
    await before.put('images/a', Buffer.from('whole'))
    await writeFile(join(before.stagingFolder, 'layer-1'), 'half a lay')
    await mkdir(join(before.stagingFolder, 'deeper'))
    const after = await FilesystemStore.open(root)
    expect(readdirSync(after.stagingFolder)).toEqual([])
    expect(await after.stat('images/a')).toEqual({ size: 5 })
  })

  test('open of a plain file fails as unavailable and names the path', async () => {
    await writeFile(root, 'a file')
    await expect(FilesystemStore.open(root)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining(root),
    })
  })

  test.each(['storage/', './storage', 'x/../storage', 'storage//'])(
    'a store that is opened as "%s" lists its keys',
    async (spelling) => {
      vi.spyOn(process, 'cwd').mockReturnValue(folder.path)
      try {
        const relative = await FilesystemStore.open(spelling)
        await relative.put('images/a', Buffer.from('a'))
        expect(await list(relative, '')).toEqual(['images/a'])
        expect(existsSync(join(root, 'images', 'a'))).toBe(true)
      } finally {
        vi.restoreAllMocks()
      }
    },
  )
})

test('staged files are not listed', async () => {
  const store = await FilesystemStore.open(root)
  await writeFile(join(store.stagingFolder, 'layer-1'), 'half')
  await store.put('tmpfile', Buffer.from('an object'))
  expect(await list(store, '')).toEqual(['tmpfile'])
  expect(await list(store, 'tm')).toEqual(['tmpfile'])
})

test('folders and links are not objects', async () => {
  const store = await FilesystemStore.open(root)
  await mkdir(join(root, 'images', 'folder'), { recursive: true })
  await symlink('/etc/passwd', join(root, 'images', 'link'))
  expect(await list(store, '')).toEqual([])
  expect(await store.stat('images/folder')).toBeUndefined()
  expect(await store.get('images/folder')).toBeUndefined()
})

describe.runIf(process.platform === 'linux')('durability', () => {
  /** Paths that were synced, in order. `written` marks a file that was written with O_SYNC. */
  const onDisk: string[] = []

  beforeEach(async () => {
    onDisk.length = 0
    const handle = await open(folder.path)
    const handles: FileHandle = Object.getPrototypeOf(handle)
    await handle.close()
    const { sync, writeFile } = handles
    const note = (path: string) =>
      onDisk.push(path.slice(root.length + 1).replace(/[-\da-f]{36}/, '…'))
    vi.spyOn(handles, 'sync').mockImplementation(async function (this: FileHandle) {
      await sync.call(this)
      note(await readlink(`/proc/self/fd/${this.fd}`))
    })
    vi.spyOn(handles, 'writeFile').mockImplementation(async function (this: FileHandle, ...all) {
      await writeFile.apply(this, all)
      const flags = /flags:\s*([0-7]+)/.exec(await readFile(`/proc/self/fdinfo/${this.fd}`, 'utf8'))
      const isWritten =
        (Number.parseInt(flags?.[1] ?? '', 8) & constants.O_SYNC) === constants.O_SYNC
      if (isWritten) note(`${await readlink(`/proc/self/fd/${this.fd}`)} written`)
    })
  })
  afterEach(() => void vi.restoreAllMocks())

  test.each([
    { size: 0, staged: '.staging/only/…' },
    { size: 1000, staged: '.staging/only/… written' },
    { size: 3_000_000, staged: '.staging/only/…' },
  ])(
    'put syncs $size bytes, then the name, then the names of new folders',
    async ({ size, staged }) => {
      const store = await FilesystemStore.open(root)
      await store.put('a/b/c', Buffer.alloc(size))
      expect(onDisk).toEqual([staged, 'a', '', 'a/b'])
      await store.put('a/b/d', Buffer.alloc(size))
      expect(onDisk.slice(4)).toEqual([staged, 'a/b'])
    },
  )

  test.each([1000, 3_000_000])(
    'put of a file of %i bytes syncs the file, then its name',
    async (size) => {
      const store = await FilesystemStore.open(root)
      const path = join(store.stagingFolder, 'layer')
      await writeFile(path, Buffer.alloc(size))
      await mkdir(join(root, 'blobs'))
      await store.put('blobs/one', { path, size })
      expect(onDisk).toEqual(['.staging/only/layer', 'blobs'])
    },
  )
})

describe('invalid keys', () => {
  const keys = [
    '',
    '/',
    '/etc/passwd',
    '../a',
    'a/../b',
    'a//b',
    'a/',
    '.',
    '.hidden',
    'a/.b',
  ].concat(['a b', 'a\0b', 'a\n', 'ä', 'a\\b', '.staging', '.staging/only/layer-1'])

  test.each(keys)('the key %j is refused with a TypeError, and touches nothing', async (key) => {
    const store = await FilesystemStore.open(root)
    await writeFile(join(store.stagingFolder, 'layer-1'), 'half')
    const content = Buffer.from('content')
    await expect(store.put(key, content)).rejects.toThrow(TypeError)
    await expect(store.get(key)).rejects.toThrow(TypeError)
    await expect(store.stat(key)).rejects.toThrow(TypeError)
    await expect(store.delete(key)).rejects.toThrow(TypeError)
    expect(readdirSync(root)).toEqual(['.staging'])
    expect(readdirSync(store.stagingFolder)).toEqual(['layer-1'])
  })

  test.each(['../', '/', 'a/../../', '..'])(
    'the prefix "%s" is refused with a TypeError',
    async (prefix) => {
      const store = await FilesystemStore.open(root)
      await expect(list(store, prefix)).rejects.toThrow(TypeError)
    },
  )
})

describe('file system errors', () => {
  let store: FilesystemStore

  beforeEach(async () => {
    store = await FilesystemStore.open(root)
    // A plain file in place of a folder. Missing permissions would not stop root.
    await writeFile(join(root, 'blobs'), 'in the way')
  })

  const unavailable = {
    kind: 'unavailable',
    message: expect.stringMatching(/^the storage cannot be used \(blobs\/a\): /),
    retryAfter: expect.any(Number),
  }

  test('put fails as unavailable and leaves no temporary file', async () => {
    await expect(store.put('blobs/a', Buffer.from('content'))).rejects.toMatchObject(unavailable)
    expect(readdirSync(store.stagingFolder)).toEqual([])
    expect(await readFile(join(root, 'blobs'), 'utf8')).toBe('in the way')
  })

  test('put of a file fails as unavailable and consumes the file', async () => {
    const path = join(store.stagingFolder, 'layer-1')
    await writeFile(path, 'content')
    await expect(store.put('blobs/a', { path, size: 7 })).rejects.toMatchObject(unavailable)
    expect(readdirSync(store.stagingFolder)).toEqual([])
  })

  test('put onto a folder fails as unavailable and leaves no temporary file', async () => {
    await store.put('images/a', Buffer.from('content'))
    await expect(store.put('images', Buffer.from('content'))).rejects.toMatchObject({
      kind: 'unavailable',
    })
    expect(readdirSync(store.stagingFolder)).toEqual([])
    expect(await store.stat('images/a')).toEqual({ size: 7 })
  })

  test('put of a missing file fails as unavailable', async () => {
    const missing = { path: join(store.stagingFolder, 'missing'), size: 7 }
    await expect(store.put('a', missing)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await store.stat('a')).toBeUndefined()
  })

  test('put without the staging folder fails as unavailable', async () => {
    await rm(store.stagingFolder, { recursive: true })
    await expect(store.put('a', Buffer.from('content'))).rejects.toMatchObject({
      kind: 'unavailable',
    })
    expect(await store.stat('a')).toBeUndefined()
  })

  test('delete of a folder fails as unavailable', async () => {
    await store.put('images/a', Buffer.from('content'))
    await expect(store.delete('images')).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await store.stat('images/a')).toEqual({ size: 7 })
  })

  test('a key that is too long for the file system fails as unavailable', async () => {
    await store.put('images/a', Buffer.from('content'))
    const key = `images/${'a'.repeat(300)}`
    for (const attempt of [
      () => store.stat(key),
      () => store.get(key),
      () => store.put(key, Buffer.from('content')),
      () => list(store, `${key}/`),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ kind: 'unavailable' })
    }
    expect(readdirSync(store.stagingFolder)).toEqual([])
  })
})
