import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'
import {
  eachOnce,
  imagesOf,
  missingImages,
  type PrebuildConfig,
  type RefInScope,
  type RefsQuestion,
  refsInScope,
} from '../../service/prebuild/desired-images.ts'
import type { PrebuildScope } from '../../service/prebuild/ports.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { Globs } from '../../service/text/globs.ts'

const day = 24 * 60 * 60 * 1000
const now = Date.UTC(2026, 0, 31)
const scope: PrebuildScope = { tags: new Globs(['*']), maxAge: 30 * day }
const main = 'refs/heads/main'

/** Commits by short names: `{ 'tags/v1': 'a' }`; `main` is the default branch. */
function tableOf(refs: Record<string, string>): RefTable {
  return new RefTable(
    Object.entries(refs).map(([ref, commit]) => [`refs/${ref}`, commit.repeat(40)]),
    main,
  )
}

/** `{ 'tags/v1': 3 }`: three days old. */
function datesOf(ages: Record<string, number>): ReadonlyMap<string, number> {
  return new Map(Object.entries(ages).map(([ref, days]) => [`refs/${ref}`, now - days * day]))
}

function inScope(question: Partial<RefsQuestion> & { table: RefTable }): string[] {
  const found = refsInScope({ dates: new Map(), scope, now, ...question })
  return found.map(({ ref, cause }) => `${cause} ${ref.slice('refs/'.length)}`)
}

describe('at start-up', () => {
  test('refs within the bound are found, tags before branches, newest first', () => {
    const ages = { 'heads/main': 0, 'tags/v1': 20, 'tags/v2': 2, 'tags/v0': 31, 'tags/a': 20 }
    const table = tableOf(mapped(ages, () => 'a'))
    expect(inScope({ table, dates: datesOf(ages) })).toEqual([
      ...['found tags/v2', 'found tags/a', 'found tags/v1', 'found heads/main'],
    ])
  })

  test('ten thousand old tags are left alone', () => {
    const ages = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, index) => [`tags/v${index}`, 31 + index]),
    )
    const table = tableOf(mapped(ages, () => 'a'))
    expect(inScope({ table, dates: datesOf({ ...ages, 'tags/v7': 1 }) })).toEqual(['found tags/v7'])
  })

  test('the default branch is found whatever its age', () => {
    const table = tableOf({ 'heads/main': 'a', 'heads/old': 'b', 'tags/old': 'b' })
    const dates = datesOf({ 'heads/main': 999, 'heads/old': 999, 'tags/old': 999 })
    const all = { ...scope, branches: new Globs(['*']) }
    expect(inScope({ table, dates, scope: all })).toEqual(['found heads/main'])
    const none = { ...scope, branches: new Globs([]) }
    expect(inScope({ table, dates, scope: none })).toEqual([])
  })

  test('a ref whose date is not known counts as old', () => {
    expect(inScope({ table: tableOf({ 'tags/v1': 'a' }) })).toEqual([])
  })
})

describe('after a change', () => {
  test('new and moved refs are pushed, whatever the date of their commits', () => {
    const previous = tableOf({
      'heads/main': 'a',
      'tags/v1': 'a',
      'tags/v2': 'b',
      'tags/gone': 'c',
    })
    const table = tableOf({ 'heads/main': 'b', 'tags/v1': 'a', 'tags/v2': 'c', 'tags/v3': 'a' })
    const dates = datesOf({ 'heads/main': 0, 'tags/v1': 1, 'tags/v2': 400, 'tags/v3': 500 })
    expect(inScope({ table, previous, dates })).toEqual([
      ...['found tags/v1', 'pushed tags/v2', 'pushed tags/v3', 'pushed heads/main'],
    ])
  })

  test('another default branch is pushed although it has not moved', () => {
    const refs = [
      [main, 'a'],
      ['refs/heads/next', 'b'],
    ] as const
    const previous = new RefTable(refs, main)
    const table = new RefTable(refs, 'refs/heads/next')
    expect(inScope({ table, previous })).toEqual(['pushed heads/next'])
  })
})

describe('the settings', () => {
  const table = tableOf({
    ...{ 'heads/main': 'a', 'heads/feature/x': 'b' },
    ...{ 'tags/release-1': 'c', 'tags/v1': 'd' },
  })

  test('let all tags and the default branch through, unless they say otherwise', () => {
    expect(inScope({ table, previous: tableOf({}) }).sort()).toEqual([
      ...['pushed heads/main', 'pushed tags/release-1', 'pushed tags/v1'],
    ])
  })

  test('choose refs of each kind by their own globs', () => {
    const narrow = { ...scope, tags: new Globs(['release-*']), branches: new Globs(['feature/*']) }
    expect(inScope({ table, previous: tableOf({}), scope: narrow })).toEqual([
      ...['pushed tags/release-1', 'pushed heads/feature/x'],
    ])
  })
})

describe('the images of a ref', () => {
  const tag: RefInScope = { ref: 'refs/tags/release/v1', commit: 'c', cause: 'pushed' }
  const branch: RefInScope = { ref: main, commit: 'c', cause: 'pushed' }
  const names = (...texts: string[]) => texts.map(parseImageName)
  const listed = (ref: RefInScope, config: PrebuildConfig | undefined, popular: string[]) =>
    imagesOf(ref, config, names(...popular)).map(
      ({ name, declared }) => `${declared ? 'declared' : 'popular'} ${name.text}`,
    )

  test('are the declared ones, then the most pulled', () => {
    expect(listed(tag, { images: names('web', 'api') }, ['jq', 'git'])).toEqual([
      ...['declared web', 'declared api', 'popular jq', 'popular git'],
    ])
  })

  test('are the most pulled alone where nothing is declared', () => {
    expect(listed(tag, undefined, ['jq'])).toEqual(['popular jq'])
  })

  test('appear once, declared if they are both', () => {
    expect(listed(tag, { images: names('git/jq', 'jq/git') }, ['jq/git/git', 'arm64/git'])).toEqual(
      ['declared git/jq', 'popular arm64/git'],
    )
  })

  test('are none where slipway.json leaves the ref out, by the globs of its kind', () => {
    const config = { images: names('web'), tags: new Globs(['v*']) }
    expect(listed(tag, config, ['jq'])).toEqual([])
    expect(listed(branch, config, ['jq'])).toEqual(['declared web', 'popular jq'])
    expect(listed(branch, { ...config, branches: new Globs([]) }, ['jq'])).toEqual([])
    expect(listed(tag, { ...config, tags: new Globs(['release/*']) }, [])).toEqual(['declared web'])
  })
})

describe('what is missing', () => {
  const missing = (
    cause: RefInScope['cause'],
    images: { declared?: string[]; popular?: string[]; settled?: string[] },
  ) => {
    const ref: RefInScope = { ref: main, commit: 'c', cause }
    const config = images.declared && { images: images.declared.map(parseImageName) }
    const wanted = imagesOf(ref, config, (images.popular ?? []).map(parseImageName))
    return missingImages(
      ref,
      wanted,
      ({ name }) => images.settled?.includes(name.text) ?? false,
    ).map(({ name }) => name.text)
  }

  test('of a pushed ref is all that has no record', () => {
    const images = { declared: ['a', 'b'], popular: ['c', 'd'], settled: ['a', 'b', 'c'] }
    expect(missing('pushed', images)).toEqual(['d'])
  })

  test('of a found ref is nothing while its declared images are there', () => {
    expect(missing('found', { declared: ['a'], popular: ['c'], settled: ['a'] })).toEqual([])
  })

  test('of a found ref is everything when a declared image is missing', () => {
    const images = { declared: ['a', 'b'], popular: ['c'], settled: ['a'] }
    expect(missing('found', images)).toEqual(['b', 'c'])
  })

  test('of a found ref that declares nothing is everything or nothing', () => {
    expect(missing('found', { popular: ['c', 'd'] })).toEqual(['c', 'd'])
    expect(missing('found', { popular: ['c', 'd'], settled: ['d'] })).toEqual([])
  })
})

describe('in any repository', () => {
  const commit = fc.constantFrom('a', 'b', 'c')
  const refs = fc.dictionary(
    fc.constantFrom(
      ...['tags/v1', 'tags/v2', 'tags/release-1', 'heads/main', 'heads/dev', 'heads/feature/x'],
    ),
    commit,
  )
  const ages = fc.dictionary(
    fc.constantFrom('tags/v1', 'tags/v2', 'tags/release-1', 'heads/main', 'heads/dev'),
    fc.integer({ min: -5, max: 60 }),
  )
  const globs = fc
    .subarray(['v*', 'release-*', '*1', 'main', 'feature/*', 'd?v'])
    .map((texts) => new Globs(texts))
  const names = fc
    .uniqueArray(fc.constantFrom('git', 'jq', 'git/jq', 'jq/git', 'shell', 'arm64/git', 'git/git'))
    .map((texts) => texts.map(parseImageName))
  const scopes: fc.Arbitrary<PrebuildScope> = fc
    .tuple(globs, fc.option(globs, { nil: undefined }), fc.nat(60))
    .map(([tags, branches, days]) => ({
      ...{ tags, maxAge: days * day },
      ...(branches ? { branches } : {}),
    }))
  const configs: fc.Arbitrary<PrebuildConfig> = fc
    .tuple(names, fc.option(globs, { nil: undefined }), fc.option(globs, { nil: undefined }))
    .map(([images, tags, branches]) => ({
      ...{ images },
      ...(tags ? { tags } : {}),
      ...(branches ? { branches } : {}),
    }))
  const world = fc.record({
    table: refs.map(tableOf),
    previous: fc.option(refs.map(tableOf), { nil: undefined }),
    dates: ages.map(datesOf),
    scope: scopes,
    byCommit: fc.dictionary(commit, configs),
    popular: names,
  })

  test('images come once, in scope and in order, and no pushed ref is forgotten', () => {
    fc.assert(
      fc.property(world, ({ table, previous, dates, scope, byCommit, popular }) => {
        const configOf = (ref: RefInScope) => byCommit[ref.commit[0] ?? '']
        const found = refsInScope({ table, previous, dates, scope, now })
        const images = eachOnce(found.flatMap((ref) => imagesOf(ref, configOf(ref), popular)))

        const keys = images.map(({ commit, name }) =>
          imageKey({ id: commit }, name, { compression: 'gzip', layerBudget: 94 }),
        )
        expect(new Set(keys).size).toBe(keys.length)

        const allowed = (ref: string, config?: PrebuildConfig) => {
          const [, kind, short = ''] = /^refs\/(tags|heads)\/(.*)$/.exec(ref) ?? []
          if (kind === 'tags') {
            return scope.tags.matches(short) && (config?.tags?.matches(short) ?? true)
          }
          const bySettings = scope.branches?.matches(short) ?? ref === table.defaultBranch
          return bySettings && (config?.branches?.matches(short) ?? true)
        }
        for (const { ref, commit } of images) {
          expect(table.refs.get(ref)).toBe(commit)
          expect(allowed(ref, byCommit[commit[0] ?? ''])).toBe(true)
        }

        const rank = ({ ref, declared }: (typeof images)[number]) => [
          ...[ref.startsWith('refs/tags/') ? 0 : 1, -(dates.get(ref) ?? Number.NEGATIVE_INFINITY)],
          ...[found.findIndex((other) => other.ref === ref), declared ? 0 : 1],
        ]
        const ranks = images.map(rank)
        expect(ranks).toEqual([...ranks].sort(lexicographic))

        const wanted = [...table.refs].filter(
          ([ref, commit]) => previous && allowed(ref) && previous.refs.get(ref) !== commit,
        )
        const pushed = found.filter(({ cause }) => cause === 'pushed').map(({ ref }) => ref)
        for (const [ref] of wanted) expect(pushed).toContain(ref)
        const old = found.filter(({ ref }) => now - (dates.get(ref) ?? 0) > scope.maxAge)
        for (const { ref, cause } of old) {
          expect(cause === 'pushed' || ref === table.defaultBranch).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })
})

function mapped(refs: Record<string, unknown>, value: () => string): Record<string, string> {
  return Object.fromEntries(Object.keys(refs).map((ref) => [ref, value()]))
}

function lexicographic(a: number[], b: number[]): number {
  const difference = a.findIndex((value, index) => value !== b[index])
  return difference < 0 ? 0 : (a[difference] ?? 0) < (b[difference] ?? 0) ? -1 : 1
}
