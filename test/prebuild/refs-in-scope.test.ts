import { describe, expect, test } from 'vitest'
import type { PrebuildScope } from '../../service/prebuild/ports.ts'
import { refsInScope, type ScopeOptions } from '../../service/prebuild/refs-in-scope.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { Globs } from '../../service/text/globs.ts'

const day = 24 * 60 * 60 * 1000
const now = Date.UTC(2026, 0, 31)
const scope: PrebuildScope = { tags: new Globs(['*']), maxAge: 30 * day }
const main = 'refs/heads/main'

/** Table with one-letter commits: `{ 'tags/v1': 'a' }`; the default branch is `main`. */
function tableOf(refs: Record<string, string>): RefTable {
  return new RefTable(
    Object.entries(refs).map(([ref, commit]) => [`refs/${ref}`, commit.repeat(40)]),
    main,
  )
}

/** Dates by ages in days: `{ 'tags/v1': 3 }`. */
function datesOf(ages: Record<string, number>): ReadonlyMap<string, number> {
  return new Map(Object.entries(ages).map(([ref, days]) => [`refs/${ref}`, now - days * day]))
}

/** Returns the refs in scope, as `pushed tags/v1`. */
function inScope(options: Partial<ScopeOptions> & { table: RefTable }): string[] {
  const found = refsInScope({ dates: new Map(), scope, now, ...options })
  return found.map(({ ref, cause }) => `${cause} ${ref.slice('refs/'.length)}`)
}

describe('at start-up', () => {
  test('refs that are young enough are in scope, tags before branches, newest first, then by name', () => {
    const ages = { 'heads/main': 0, 'tags/v1': 20, 'tags/v2': 2, 'tags/v0': 31, 'tags/a': 20 }
    const refs = Object.fromEntries(Object.keys(ages).map((ref) => [ref, 'a']))
    expect(inScope({ table: tableOf(refs), dates: datesOf(ages) })).toEqual([
      ...['found tags/v2', 'found tags/a', 'found tags/v1', 'found heads/main'],
    ])
  })

  test('the one young tag among ten thousand old tags is in scope', () => {
    const tags = Array.from({ length: 10_000 }, (_, index) => `tags/v${index}`)
    const table = tableOf(Object.fromEntries(tags.map((tag) => [tag, 'a'])))
    const ages = Object.fromEntries(tags.map((tag, index) => [tag, 31 + index]))
    expect(inScope({ table, dates: datesOf({ ...ages, 'tags/v7': 1 }) })).toEqual(['found tags/v7'])
  })

  test('the default branch is in scope at any age, unless the settings exclude it', () => {
    const table = tableOf({ 'heads/main': 'a', 'heads/old': 'b', 'tags/old': 'b' })
    const dates = datesOf({ 'heads/main': 999, 'heads/old': 999, 'tags/old': 999 })
    const all = { ...scope, branches: new Globs(['*']) }
    expect(inScope({ table, dates, scope: all })).toEqual(['found heads/main'])
    const none = { ...scope, branches: new Globs([]) }
    expect(inScope({ table, dates, scope: none })).toEqual([])
  })

  test('a ref without a date counts as old', () => {
    expect(inScope({ table: tableOf({ 'tags/v1': 'a' }) })).toEqual([])
  })
})

describe('after a push', () => {
  test('new and moved refs are pushed, whatever the date of their commits', () => {
    const previous = tableOf({
      ...{ 'heads/main': 'a', 'tags/v1': 'a', 'tags/v2': 'b', 'tags/gone': 'c' },
    })
    const table = tableOf({ 'heads/main': 'b', 'tags/v1': 'a', 'tags/v2': 'c', 'tags/v3': 'a' })
    const dates = datesOf({ 'heads/main': 0, 'tags/v1': 1, 'tags/v2': 400, 'tags/v3': 500 })
    expect(inScope({ table, previous, dates })).toEqual([
      ...['found tags/v1', 'pushed tags/v2', 'pushed tags/v3', 'pushed heads/main'],
    ])
  })

  test('a branch that becomes the default branch is pushed although it has not moved', () => {
    const refs = [
      [main, 'a'],
      ['refs/heads/next', 'b'],
    ] as const
    const previous = new RefTable(refs, main)
    const table = new RefTable(refs, 'refs/heads/next')
    expect(inScope({ table, previous })).toEqual(['pushed heads/next'])
  })
})

describe('the globs of the settings', () => {
  const previous = tableOf({})
  const table = tableOf({
    ...{ 'heads/main': 'a', 'heads/feature/x': 'b' },
    ...{ 'tags/release-1': 'c', 'tags/v1': 'd' },
  })

  test('without globs of branches, the default branch is the only branch in scope', () => {
    expect(inScope({ table, previous }).sort()).toEqual([
      ...['pushed heads/main', 'pushed tags/release-1', 'pushed tags/v1'],
    ])
  })

  test('tags and branches are matched by the globs of their kind', () => {
    const narrow = { ...scope, tags: new Globs(['release-*']), branches: new Globs(['feature/*']) }
    expect(inScope({ table, previous, scope: narrow })).toEqual([
      ...['pushed tags/release-1', 'pushed heads/feature/x'],
    ])
  })
})
