/** The contract suite: tests that every implementation of the ObjectStore port must pass. */

import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type {
  ByteRange,
  LocalFile,
  ObjectStore,
  StagingFolder,
} from '../../service/storage/ports.ts'

const megabyte = 1024 * 1024

export interface ContractOptions {
  /** Milliseconds for one test. @default Vitest's */
  readonly timeout?: number
}

/** @param makeStore returns a store without any object. Called for each test */
export function objectStoreContract(
  name: string,
  makeStore: () => Promise<ObjectStore>,
  options: ContractOptions = {},
): void {
  describe(`contract of ObjectStore: ${name}`, options, () => {
    let store: ObjectStore
    let folder: string

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'slipway-contract-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))
    beforeEach(async () => {
      store = await makeStore()
    })

    async function read(key: string, range?: ByteRange): Promise<string | undefined> {
      const stream = await store.get(key, range)
      return stream && (await buffer(stream)).toString()
    }

    async function list(prefix: string): Promise<string[]> {
      const keys: string[] = []
      for await (const key of store.list(prefix)) keys.push(key)
      return keys.sort()
    }

    async function localFile(content: Uint8Array | string): Promise<LocalFile> {
      const path = join((store as Partial<StagingFolder>).stagingFolder ?? folder, randomUUID())
      await writeFile(path, content)
      return { path, size: Buffer.byteLength(content) }
    }

    describe('objects', () => {
      test('an object has the bytes and the size that were put', async () => {
        expect(await store.put('images/a', Buffer.from('content'))).toBe('stored')
        expect(await read('images/a')).toBe('content')
        expect(await store.stat('images/a')).toEqual({ size: 7 })
      })

      test('an object may contain any bytes', async () => {
        const bytes = Buffer.from([0, 255, 10, 13, 0, 128])
        await store.put('a', bytes)
        const stream = await store.get('a')
        expect(await buffer(stream as Readable)).toEqual(bytes)
      })

      test('put stores a part of a larger buffer', async () => {
        await store.put('a', Buffer.from('0123456789').subarray(3, 6))
        expect(await read('a')).toBe('345')
      })

      test('an object may be empty', async () => {
        await store.put('a', Buffer.alloc(0))
        expect(await read('a')).toBe('')
        expect(await store.stat('a')).toEqual({ size: 0 })
        expect(await list('')).toEqual(['a'])
      })

      test('put of an empty file stores an empty object', async () => {
        await store.put('a', await localFile(''))
        expect(await read('a')).toBe('')
        expect(await store.stat('a')).toEqual({ size: 0 })
      })

      test('get of 20 MB returns the whole object in several pieces', async () => {
        const bytes = randomBytes(20 * megabyte)
        await store.put('blobs/sha256/large', await localFile(bytes))
        const hash = createHash('sha256')
        let pieces = 0
        for await (const piece of (await store.get('blobs/sha256/large')) as Readable) {
          hash.update(piece)
          pieces += 1
        }
        expect(pieces).toBeGreaterThan(1)
        expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
        expect(await store.stat('blobs/sha256/large')).toEqual({ size: bytes.length })
      })

      test('put replaces an object', async () => {
        await store.put('a', Buffer.from('a first, longer content'))
        expect(await store.put('a', Buffer.from('second'))).toBe('stored')
        expect(await read('a')).toBe('second')
        expect(await store.stat('a')).toEqual({ size: 6 })
      })

      test('put of a file replaces an object', async () => {
        await store.put('a', Buffer.from('first'))
        expect(await store.put('a', await localFile('second'))).toBe('stored')
        expect(await read('a')).toBe('second')
      })

      test('an object may have a content type', async () => {
        await store.put('a', Buffer.from('{}'), { contentType: 'application/json' })
        expect(await read('a')).toBe('{}')
      })
    })

    describe('missing objects', () => {
      test.each(['a', 'images/a', 'blobs/sha256/a'])(
        'the missing object %s has no bytes and no size',
        async (key) => {
          expect(await store.stat(key)).toBeUndefined()
          expect(await store.get(key)).toBeUndefined()
          expect(await store.get(key, { start: 0, end: 0 })).toBeUndefined()
        },
      )

      test('the first components of a key name no object', async () => {
        await store.put('builds/one/two', Buffer.from('content'))
        for (const key of ['builds', 'builds/one', 'builds/on']) {
          expect(await store.stat(key)).toBeUndefined()
          expect(await store.get(key)).toBeUndefined()
        }
      })

      test('a key below an object names no object', async () => {
        await store.put('builds/one', Buffer.from('content'))
        expect(await store.stat('builds/one/two')).toBeUndefined()
        expect(await store.get('builds/one/two')).toBeUndefined()
        await store.delete('builds/one/two')
        expect(await read('builds/one')).toBe('content')
      })

      test('delete of a missing object succeeds', async () => {
        await store.delete('a')
        await store.delete('images/a')
        expect(await list('')).toEqual([])
      })
    })

    test('delete removes one object, and no other', async () => {
      await store.put('images/a', Buffer.from('a'))
      await store.put('images/b', Buffer.from('b'))
      await store.delete('images/a')
      expect(await store.stat('images/a')).toBeUndefined()
      expect(await store.get('images/a')).toBeUndefined()
      expect(await list('')).toEqual(['images/b'])
      expect(await read('images/b')).toBe('b')
    })

    describe('ranges', () => {
      beforeEach(async () => {
        await store.put('a', Buffer.from('0123456789'))
      })

      test.each([
        ['the first byte', { start: 0, end: 0 }, '0'],
        ['the last byte', { start: 9, end: 9 }, '9'],
        ['the middle', { start: 3, end: 5 }, '345'],
        ['the end', { start: 4, end: 9 }, '456789'],
        ['the whole', { start: 0, end: 9 }, '0123456789'],
      ])('get of a range returns %s', async (_, range, expected) => {
        expect(await read('a', range)).toBe(expected)
      })

      test('get of a range of a large object is exact across its pieces', async () => {
        const bytes = randomBytes(3 * megabyte)
        await store.put('large', await localFile(bytes))
        const start = megabyte - 1
        const end = 2 * megabyte + 1
        const stream = await store.get('large', { start, end })
        expect(await buffer(stream as Readable)).toEqual(bytes.subarray(start, end + 1))
      })
    })

    describe('lists', () => {
      beforeEach(async () => {
        for (const key of ['images/a1', 'images/a2', 'images/b', 'imagesque', 'blobs/sha256/a1']) {
          await store.put(key, Buffer.from(key))
        }
      })

      test.each([
        ['', ['blobs/sha256/a1', 'images/a1', 'images/a2', 'images/b', 'imagesque']],
        ['images/', ['images/a1', 'images/a2', 'images/b']],
        ['images', ['images/a1', 'images/a2', 'images/b', 'imagesque']],
        ['images/a', ['images/a1', 'images/a2']],
        ['images/a1', ['images/a1']],
        ['blobs/', ['blobs/sha256/a1']],
        ['blobs/sha', ['blobs/sha256/a1']],
        ['blobs/sha256/a1/', []],
        ['a', []],
        ['nothing/', []],
        ['nothing/at/all', []],
      ])(
        'list by the prefix "%s" returns the keys that begin with it',
        async (prefix, expected) => {
          expect(await list(prefix)).toEqual(expected)
        },
      )

      test('list returns each of 300 keys once', async () => {
        const keys = Array.from({ length: 300 }, (_, index) => `layers/${index % 3}/${index}`)
        await Promise.all(keys.map((key) => store.put(key, Buffer.from(key))))
        expect(await list('layers/')).toEqual(keys.sort())
      })
    })

    describe('put with ifAbsent', () => {
      test('put with ifAbsent stores a missing object', async () => {
        expect(await store.put('a', Buffer.from('first'), { ifAbsent: true })).toBe('stored')
        expect(await read('a')).toBe('first')
      })

      test('put with ifAbsent keeps an existing object and returns exists', async () => {
        await store.put('a', Buffer.from('first'), { ifAbsent: true })
        expect(await store.put('a', Buffer.from('second'), { ifAbsent: true })).toBe('exists')
        expect(await read('a')).toBe('first')
        expect(await store.stat('a')).toEqual({ size: 5 })
      })

      test('put with ifAbsent keeps an empty object', async () => {
        await store.put('a', Buffer.alloc(0))
        expect(await store.put('a', Buffer.from('second'), { ifAbsent: true })).toBe('exists')
        expect(await read('a')).toBe('')
      })

      test('put with ifAbsent stores an object again after it was deleted', async () => {
        await store.put('a', Buffer.from('first'), { ifAbsent: true })
        await store.delete('a')
        expect(await store.put('a', Buffer.from('second'), { ifAbsent: true })).toBe('stored')
        expect(await read('a')).toBe('second')
      })

      test.each(['bytes', 'files'])(
        '20 concurrent puts with ifAbsent store exactly one object: %s',
        async (kind) => {
          const contents = Array.from({ length: 20 }, (_, index) => `content ${index}`)
          const outcomes = await Promise.all(
            contents.map(async (content) => {
              const given = kind === 'files' ? await localFile(content) : Buffer.from(content)
              return store.put('plans/one', given, { ifAbsent: true })
            }),
          )
          const winners = contents.filter((_, index) => outcomes[index] === 'stored')
          expect(winners).toHaveLength(1)
          expect(outcomes.filter((outcome) => outcome === 'exists')).toHaveLength(19)
          expect(await read('plans/one')).toBe(winners[0])
        },
      )
    })

    describe('files', () => {
      test('put consumes a file', async () => {
        const file = await localFile('content')
        expect(await store.put('a', file)).toBe('stored')
        expect(await read('a')).toBe('content')
        expect(existsSync(file.path)).toBe(false)
      })

      test('put with ifAbsent consumes the file if the object exists', async () => {
        await store.put('a', Buffer.from('first'))
        const file = await localFile('second')
        expect(await store.put('a', file, { ifAbsent: true })).toBe('exists')
        expect(existsSync(file.path)).toBe(false)
        expect(await read('a')).toBe('first')
      })

      test('put takes a file from any folder', async () => {
        const path = join(folder, randomUUID())
        await writeFile(path, 'content')
        await store.put('a', { path, size: 7 })
        expect(await read('a')).toBe('content')
        expect(existsSync(path)).toBe(false)
      })
    })

    describe('concurrent readers', () => {
      test('an object becomes visible when it is complete', async () => {
        const size = 20 * megabyte
        let putting = true
        const done = store.put('blobs/sha256/large', Buffer.alloc(size, 1)).finally(() => {
          putting = false
        })
        const sizes = new Set<number | undefined>()
        const keys = new Set<string>()
        do {
          sizes.add((await store.stat('blobs/sha256/large'))?.size)
          for (const key of await list('')) keys.add(key)
        } while (putting)
        await done
        sizes.delete(undefined)
        sizes.delete(size)
        expect([...sizes]).toEqual([])
        keys.delete('blobs/sha256/large')
        expect([...keys]).toEqual([])
      })

      test('readers during a replacement get the old bytes or the new ones', async () => {
        const versions = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(2 * megabyte))
        await store.put('a', Buffer.from(versions[0] as string))
        const writing = (async () => {
          for (const version of versions) await store.put('a', Buffer.from(version))
        })()
        const seen = await Promise.all(Array.from({ length: 8 }, () => read('a')))
        await writing
        expect(seen.filter((content) => !versions.includes(content ?? ''))).toEqual([])
        expect(await read('a')).toBe(versions[3])
      })

      test.each(['overwritten', 'deleted'])(
        'a reader that began before an object was %s gets all the old bytes',
        async (fate) => {
          const old = Buffer.alloc(8 * megabyte, 'o')
          await store.put('a', old)
          const stream = (await store.get('a')) as Readable
          const reading = stream[Symbol.asyncIterator]()
          const first = (await reading.next()).value as Buffer
          if (fate === 'deleted') await store.delete('a')
          else await store.put('a', Buffer.from('new'))
          const pieces = [first]
          for (let next = await reading.next(); !next.done; next = await reading.next()) {
            pieces.push(next.value)
          }
          expect(Buffer.concat(pieces).equals(old)).toBe(true)
        },
      )
    })
  })
}
