import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { slugOf } from '../../service/image/ref-name.ts'
import { isAbbreviatedCommitId, isFullCommitId } from '../../service/image/reference.ts'
import { RefTable } from '../../service/source/ref-table.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const C = 'c'.repeat(40)

describe('ref table', () => {
  test('latest resolves to the default branch', () => {
    const table = new RefTable([['refs/heads/main', A]], 'refs/heads/main')
    expect(table.resolve('latest')).toEqual({ id: A, ref: 'refs/heads/main' })
  })

  test('latest means the default branch even if there is a git tag "latest"', () => {
    const refs: [string, string][] = [
      ['refs/heads/main', A],
      ['refs/tags/latest', B],
    ]
    expect(new RefTable(refs, 'refs/heads/main').resolve('latest')?.id).toBe(A)
    expect(new RefTable(refs).resolve('latest')?.id).toBe(B)
  })

  test.each([undefined, 'refs/heads/gone', 'refs/tags/v1', 'refs/slipway/none'])(
    'latest is unknown when the default branch is %s',
    (branch) => {
      const table = new RefTable(
        [
          ['refs/heads/main', A],
          ['refs/tags/v1', B],
        ],
        branch,
      )
      expect(table.resolve('latest')).toBeUndefined()
      expect(table.defaultBranch).toBeUndefined()
      expect(table.tags()).toEqual(['main', 'v1'])
    },
  )

  test('a tag wins over a branch of the same name, and an exact name over a slug', () => {
    const table = new RefTable([
      ['refs/heads/v1', A],
      ['refs/tags/v1', B],
      ['refs/tags/feature/login', C],
      ['refs/heads/feature-login', A],
    ])
    expect(table.resolve('v1')).toEqual({ id: B, ref: 'refs/tags/v1' })
    expect(table.resolve('feature-login')).toEqual({ id: A, ref: 'refs/heads/feature-login' })
  })

  test('if several refs have the same slug, tags win over branches, then the first name wins', () => {
    const refs: [string, string][] = [
      ['refs/heads/a/b', A],
      ['refs/heads/a+b', B],
      ['refs/tags/a~b', C],
      ['refs/tags/a,b', A],
    ]
    for (const list of [refs, [...refs].reverse()]) {
      expect(new RefTable(list).resolve('a-b')?.ref).toBe('refs/tags/a,b')
      expect(new RefTable(list.filter(([ref]) => ref.includes('heads'))).resolve('a-b')?.ref).toBe(
        'refs/heads/a+b',
      )
    }
  })

  test('names that look like git options, revision expressions or object properties are plain names', () => {
    const table = new RefTable([['refs/heads/main', A]], 'refs/heads/main')
    for (const tag of [
      '--upload-pack=x',
      'HEAD',
      'HEAD~1',
      'main^{tree}',
      '__proto__',
      'toString',
      '',
    ]) {
      expect(table.resolve(tag)).toBeUndefined()
    }
    expect(new RefTable([['refs/heads/__proto__', B]]).resolve('__proto__')?.id).toBe(B)
  })

  test('refs that are neither branches nor tags are ignored', () => {
    const table = new RefTable([
      ['refs/pull/1/head', A],
      ['refs/notes/commits', B],
    ])
    expect(table.refs.size).toBe(0)
    expect(table.tags()).toEqual([])
  })
})

describe('slugs', () => {
  test.each([
    ['feature/login', 'feature-login'],
    ['a//~b', 'a-b'],
    ['fix/größe', 'fix-gr-e'],
    ['-x', '_x'],
    ['+v1', '_v1'],
    ['версия', '_'],
    [`v${'1'.repeat(200)}`, `v${'1'.repeat(127)}`],
  ])('the branch %s is resolved by its slug %s', (name, slug) => {
    expect(slugOf(name)).toBe(slug)
    expect(new RefTable([[`refs/heads/${name}`, A]]).resolve(slug)?.ref).toBe(`refs/heads/${name}`)
  })

  test('every slug has the form of a tag', () => {
    fc.assert(
      fc.property(fc.uint16Array({ minLength: 1, maxLength: 200 }), (units) => {
        expect(slugOf(String.fromCharCode(...units))).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)
      }),
    )
  })
})

test('tags() lists latest, tags, branches and slugs, each once, in byte order', () => {
  const table = new RefTable(
    [
      ['refs/heads/main', A],
      ['refs/tags/v1', B],
      ['refs/heads/v1', C],
      ['refs/heads/feature/login', C],
      ['refs/tags/V2', A],
      ['refs/tags/_x', A],
    ],
    'refs/heads/main',
  )
  expect(table.tags()).toEqual(['V2', '_x', 'feature-login', 'latest', 'main', 'v1'])
  for (const tag of table.tags()) expect(table.resolve(tag)).toBeDefined()
})

test('ref tables are equal if they have the same refs and default branch', () => {
  const table = new RefTable([['refs/heads/main', A]], 'refs/heads/main')
  expect(table.equals(new RefTable([['refs/heads/main', A]], 'refs/heads/main'))).toBe(true)
  expect(table.equals(new RefTable([['refs/heads/main', A]]))).toBe(false)
  expect(table.equals(new RefTable([['refs/heads/main', B]], 'refs/heads/main'))).toBe(false)
  expect(table.equals(new RefTable([['refs/heads/next', A]]))).toBe(false)
})

test('full and abbreviated commit ids are recognised by their form', () => {
  expect([A, A.toUpperCase(), 'a'.repeat(64)].every(isFullCommitId)).toBe(true)
  expect(['a'.repeat(39), 'a'.repeat(41), 'g'.repeat(40)].some(isFullCommitId)).toBe(false)
  expect(['abcdef0', 'ABCDEF0', 'a'.repeat(39)].every(isAbbreviatedCommitId)).toBe(true)
  expect(['abcdef', A, 'abcdefg', 'a'.repeat(65)].some(isAbbreviatedCommitId)).toBe(false)
})

test('a ref table of 20,000 tags is built and resolved within a second', () => {
  const refs = Array.from({ length: 20_000 }, (_, i): [string, string] => [`refs/tags/r/v${i}`, A])
  const start = performance.now()
  const table = new RefTable(refs)
  for (let i = 0; i < 20_000; i++) table.resolve(`r-v${i}`)
  expect(table.tags()).toHaveLength(20_000)
  expect(performance.now() - start).toBeLessThan(1000)
})

test('the tag of a ref is its name, or the slug of a name that is no valid tag', () => {
  const table = new RefTable([
    ['refs/heads/feature/login', A],
    ['refs/tags/v1', A],
  ])
  expect(table.tagOf('refs/tags/v1')).toBe('v1')
  expect(table.tagOf('refs/heads/feature/login')).toBe('feature-login')
})

test('a ref has no tag of its own if its name or slug resolves to another commit', () => {
  const refs: [string, string][] = [
    ['refs/tags/v1', A],
    ['refs/heads/v1', B],
    ['refs/heads/feature/login', A],
    ['refs/heads/feature+login', B],
    ['refs/heads/main', A],
    ['refs/heads/latest', B],
  ]
  const table = new RefTable(refs, 'refs/heads/main')
  expect(refs.map(([ref]) => table.tagOf(ref))).toEqual([
    ...['v1', undefined, undefined, 'feature-login', 'main', undefined],
  ])
})
