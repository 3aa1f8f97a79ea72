import { afterEach, beforeEach, expect, test } from 'vitest'
import { GcsEmulator } from './emulator.ts'

let emulator: GcsEmulator
beforeEach(async () => {
  emulator = await GcsEmulator.start({ bucket: 'layers' })
})
afterEach(() => emulator[Symbol.asyncDispose]())

interface Page {
  readonly kind: string
  readonly items?: { readonly name: string; readonly size: string }[]
  readonly prefixes?: string[]
  readonly nextPageToken?: string
}

async function list(query: Record<string, string> = {}): Promise<Page> {
  const response = await fetch(
    `${emulator.url}/storage/v1/b/layers/o?${new URLSearchParams(query)}`,
  )
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}

/** Names on each page, prefixes after them. */
async function pages(query: Record<string, string>): Promise<string[][]> {
  const found: string[][] = []
  for (let pageToken: string | undefined = ''; pageToken !== undefined; ) {
    const page: Page = await list({ ...query, ...(pageToken && { pageToken }) })
    found.push([...(page.items ?? []).map(({ name }) => name), ...(page.prefixes ?? [])])
    pageToken = page.nextPageToken
  }
  return found
}

function fill(...names: string[]): void {
  for (const name of names) emulator.writeObject(name, name)
}

test('nothing', async () => {
  expect(await list()).toEqual({ kind: 'storage#objects' })
})

test('all objects with their metadata, in the order of the bytes of their names', async () => {
  fill('b', '\u{1f600}', 'a/2', 'B', 'ｚ', 'a/10')
  const { kind, items } = await list()
  expect(kind).toBe('storage#objects')
  expect(items?.map(({ name }) => name)).toEqual(['B', 'a/10', 'a/2', 'b', 'ｚ', '\u{1f600}'])
  expect(items?.[1]).toMatchObject({ kind: 'storage#object', size: '4', bucket: 'layers' })
  expect(emulator.counts()).toEqual({ list: 1 })
})

test('those that begin with a prefix', async () => {
  fill('blobs/1', 'blobs/2', 'blobs', 'images/1')
  expect(await pages({ prefix: 'blobs/' })).toEqual([['blobs/1', 'blobs/2']])
})

test('page by page, as many as were asked for', async () => {
  fill('a', 'b', 'c', 'd', 'e')
  expect(await pages({ maxResults: '2' })).toEqual([['a', 'b'], ['c', 'd'], ['e']])
  expect(await pages({ maxResults: '5' })).toEqual([['a', 'b', 'c', 'd', 'e']])
})

test('never more than the service gives', async () => {
  fill('a', 'b', 'c')
  emulator.settings.pageSize = 1
  expect(await pages({ maxResults: '1000' })).toEqual([['a'], ['b'], ['c']])
  expect(await pages({ prefix: 'b' })).toEqual([['b']])
})

test('a page begins after the last name of the one before, whatever happened meanwhile', async () => {
  fill('a', 'b', 'c', 'd')
  const { nextPageToken = '' } = await list({ maxResults: '2' })
  emulator.deleteObject('b')
  fill('aa')
  const { items } = await list({ pageToken: nextPageToken })
  expect(items?.map(({ name }) => name)).toEqual(['c', 'd'])
})

test('a delimiter folds what is below', async () => {
  fill('a', 'b/1', 'b/2', 'c/d/1', 'e')
  expect(await pages({ delimiter: '/' })).toEqual([['a', 'e', 'b/', 'c/']])
  expect(await pages({ delimiter: '/', maxResults: '2' })).toEqual([
    ['a', 'b/'],
    ['e', 'c/'],
  ])
  expect(await pages({ delimiter: '/', prefix: 'c/' })).toEqual([['c/d/']])
})

test('from one name to before another', async () => {
  fill('a', 'b', 'c', 'd')
  expect(await pages({ startOffset: 'b', endOffset: 'd' })).toEqual([['b', 'c']])
})

test.each([
  [{ maxResults: 'many' }, 400],
  [{ pageToken: 'x' }, 400],
  [{ versions: 'true' }, 501],
])('%j is refused', async (query, status) => {
  const url = `${emulator.url}/storage/v1/b/layers/o?${new URLSearchParams(query as never)}`
  expect((await fetch(url)).status).toBe(status)
})
