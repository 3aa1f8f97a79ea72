import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import {
  type DesiredImage,
  eachOnce,
  imagesOf,
  missingImages,
} from '../../service/prebuild/desired-images.ts'
import type { PrebuildScope } from '../../service/prebuild/ports.ts'
import { type RefInScope, refsInScope } from '../../service/prebuild/refs-in-scope.ts'
import type { PrebuildConfig } from '../../service/prebuild/slipway-json.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { Globs } from '../../service/text/globs.ts'

const recipe = { compression: 'gzip', layerBudget: 94 } as const
const main = 'refs/heads/main'
const names = (...texts: string[]) => texts.map(parseImageName)

describe('the images of a ref', () => {
  const tag: RefInScope = { ref: 'refs/tags/release/v1', commit: 'c', cause: 'pushed' }
  const branch: RefInScope = { ref: main, commit: 'c', cause: 'pushed' }
  const listed = (ref: RefInScope, config: PrebuildConfig, popular: string[]) =>
    imagesOf(ref, config, names(...popular), recipe).map(
      ({ name, isDeclared }) => `${isDeclared ? 'declared' : 'popular'} ${name.text}`,
    )

  test('a ref should have the declared images, then the popular ones', () => {
    expect(listed(tag, { images: names('web', 'api') }, ['jq', 'git'])).toEqual([
      ...['declared web', 'declared api', 'popular jq', 'popular git'],
    ])
  })

  test('a ref that declares no images should have the popular ones', () => {
    expect(listed(tag, { images: [] }, ['jq'])).toEqual(['popular jq'])
  })

  test('an image with several spellings is listed once, and as declared if it is both', () => {
    expect(listed(tag, { images: names('git/jq', 'jq/git') }, ['jq/git/git', 'arm64/git'])).toEqual(
      ['declared git/jq', 'popular arm64/git'],
    )
  })

  test('a ref that the globs of slipway.json exclude should have no images', () => {
    const config = { images: names('web'), tags: new Globs(['v*']) }
    expect(listed(tag, config, ['jq'])).toEqual([])
    expect(listed(branch, config, ['jq'])).toEqual(['declared web', 'popular jq'])
    expect(listed(branch, { ...config, branches: new Globs([]) }, ['jq'])).toEqual([])
    expect(listed(tag, { ...config, tags: new Globs(['release/*']) }, [])).toEqual(['declared web'])
  })
})

describe('the missing images of a ref', () => {
  const missing = (
    cause: RefInScope['cause'],
    images: { declared?: string[]; popular?: string[]; done?: string[] },
  ) => {
    const ref: RefInScope = { ref: main, commit: 'c', cause }
    const config = { images: names(...(images.declared ?? [])) }
    const desired = imagesOf(ref, config, names(...(images.popular ?? [])), recipe)
    const isDone = ({ name }: DesiredImage) => images.done?.includes(name.text) ?? false
    return missingImages(ref, desired, isDone).map(({ name }) => name.text)
  }

  test('a pushed ref misses every image without a record', () => {
    const images = { declared: ['a', 'b'], popular: ['c', 'd'], done: ['a', 'b', 'c'] }
    expect(missing('pushed', images)).toEqual(['d'])
  })

  test('a found ref misses no image while its declared images exist', () => {
    expect(missing('found', { declared: ['a'], popular: ['c'], done: ['a'] })).toEqual([])
  })

  test('a found ref misses popular images, too, when a declared image is missing', () => {
    const images = { declared: ['a', 'b'], popular: ['c'], done: ['a'] }
    expect(missing('found', images)).toEqual(['b', 'c'])
  })

  test('a found ref that declares nothing misses all popular images or none', () => {
    expect(missing('found', { popular: ['c', 'd'] })).toEqual(['c', 'd'])
    expect(missing('found', { popular: ['c', 'd'], done: ['d'] })).toEqual([])
  })
})

describe('the images of all refs of any repository', () => {
  const day = 24 * 60 * 60 * 1000
  const now = Date.UTC(2026, 0, 31)
  const commit = fc.constantFrom('a', 'b', 'c')
  /** Dates by ages in days. */
  const datesOf = (ages: Record<string, number>): ReadonlyMap<string, number> =>
    new Map(Object.entries(ages).map(([ref, days]) => [`refs/${ref}`, now - days * day]))
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
  const imageNames = fc
    .uniqueArray(fc.constantFrom('git', 'jq', 'git/jq', 'jq/git', 'shell', 'arm64/git', 'git/git'))
    .map((texts) => texts.map(parseImageName))
  const scopes: fc.Arbitrary<PrebuildScope> = fc
    .tuple(globs, fc.option(globs, { nil: undefined }), fc.nat(60))
    .map(([tags, branches, days]) => ({
      ...{ tags, maxAge: days * day },
      ...(branches ? { branches } : {}),
    }))
  const configs: fc.Arbitrary<PrebuildConfig> = fc
    .tuple(imageNames, fc.option(globs, { nil: undefined }), fc.option(globs, { nil: undefined }))
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
    popular: imageNames,
  })

  test('every image is listed once, in scope and in order, and no pushed ref is left out', () => {
    fc.assert(
      fc.property(world, ({ table, previous, dates, scope, byCommit, popular }) => {
        const configOf = (commit: string) => byCommit[commit[0] ?? ''] ?? { images: [] }
        const found = refsInScope({ table, previous, dates, scope, now })
        const images = eachOnce(
          found.flatMap((ref) => imagesOf(ref, configOf(ref.commit), popular, recipe)),
        )

        const contents = images.map(({ revision, name: { packages, platform, hasShell } }) =>
          JSON.stringify([revision.id, packages, platform, hasShell]),
        )
        expect(new Set(contents).size).toBe(contents.length)

        const allowed = (ref: string, config?: PrebuildConfig) => {
          const [, kind, short = ''] = /^refs\/(tags|heads)\/(.*)$/.exec(ref) ?? []
          if (kind === 'tags') {
            return scope.tags.matches(short) && (config?.tags?.matches(short) ?? true)
          }
          const bySettings = scope.branches?.matches(short) ?? ref === table.defaultBranch
          return bySettings && (config?.branches?.matches(short) ?? true)
        }
        for (const { revision } of images) {
          const { id, ref = '' } = revision
          expect(table.refs.get(ref)).toBe(id)
          expect(allowed(ref, configOf(id))).toBe(true)
        }

        const rank = ({ revision: { ref = '' }, isDeclared }: DesiredImage) => [
          ...[ref.startsWith('refs/tags/') ? 0 : 1, -(dates.get(ref) ?? Number.NEGATIVE_INFINITY)],
          ...[found.findIndex((other) => other.ref === ref), isDeclared ? 0 : 1],
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

/** Table with one-letter commits: `{ 'tags/v1': 'a' }`; the default branch is `main`. */
function tableOf(refs: Record<string, string>): RefTable {
  return new RefTable(
    Object.entries(refs).map(([ref, commit]) => [`refs/${ref}`, commit.repeat(40)]),
    main,
  )
}

function lexicographic(a: number[], b: number[]): number {
  const difference = a.findIndex((value, index) => value !== b[index])
  return difference < 0 ? 0 : (a[difference] ?? 0) < (b[difference] ?? 0) ? -1 : 1
}
