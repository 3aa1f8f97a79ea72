import { afterEach, beforeEach, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { Catalog } from '../../service/storage/catalog.ts'
import type { ImageRecord } from '../../service/storage/ports.ts'
import { Workbench } from '../support/workbench.ts'

let bench: Workbench
let catalog: Catalog

beforeEach(async () => {
  bench = await Workbench.create()
  catalog = new Catalog(bench.imageRecords)
})
afterEach(() => bench[Symbol.asyncDispose]())

async function write(key: string, name: string): Promise<void> {
  const descriptor = { mediaType: 'type', digest: `sha256:${'a'.repeat(64)}`, size: 1 } as const
  const record: ImageRecord = {
    ...{ name, packages: [name], architecture: 'amd64', revision: 'r', size: 1 },
    ...{ oci: descriptor, docker: descriptor },
  }
  await bench.imageRecords.replace(key, record)
}

test('the catalog is empty before the first build', async () => {
  expect(await catalog.names()).toEqual([])
})

test('the catalog has each name once, in byte order', async () => {
  const names = ['zlib', 'git/htop', 'git', 'a_b', 'a-b', 'a.b', 'a/b', 'ab', 'git']
  await Promise.all(names.map((name, index) => write(`key${index}`, name)))
  expect(await catalog.names()).toEqual(
    ['a-b', 'a.b', 'a/b', 'a_b', 'ab', 'git', 'git/htop', 'zlib'], // - . / _ b
  )
})

test('the catalog has an image as soon as it is built', async () => {
  await bench.image('hello')
  expect(await catalog.names()).toEqual(['hello'])
  await bench.image('git')
  expect(await catalog.names()).toEqual(['git', 'hello'])
})

test('the catalog drops an image whose record is deleted', async () => {
  await write('key1', 'git')
  await write('key2', 'zlib')
  await catalog.names()
  await bench.disk.delete('images/key1')
  expect(await catalog.names()).toEqual(['zlib'])
})

test('the catalog reads each record once', async () => {
  await write('key1', 'git')
  await catalog.names()
  await write('key2', 'zlib')
  bench.journal.length = 0
  await catalog.names()
  expect(bench.did('get')).toEqual(['get images/key2'])
})

test('the catalog leaves out a damaged record', async () => {
  await write('key1', 'git')
  await bench.disk.put('images/key2', Buffer.from('{"na'))
  expect(await catalog.names()).toEqual(['git'])
})

test('the catalog fails when a record is out of reach, instead of leaving it out', async () => {
  for (let index = 0; index < 40; index++) await write(`key${index}`, `name${index}`)
  bench.store.before = (operation, key) => {
    if (operation === 'get' && key === 'images/key7') throw new Failure('unavailable', 'no answer')
  }
  await expect(catalog.names()).rejects.toMatchObject({ kind: 'unavailable' })
  bench.store.before = () => {}
  expect(await catalog.names()).toHaveLength(40)
})
