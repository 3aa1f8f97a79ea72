import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Globs, globFailure, isGlobList, parseGlobList } from '../../service/text/globs.ts'

const matches = (glob: string, name: string) => new Globs([glob]).matches(name)

describe('Globs', () => {
  test.each([
    ['main', 'main'],
    ['release-*', 'release-v2'],
    ['release-*', 'release-'],
    ['*', 'feature/login'],
    ['feature/*', 'feature/login/form'],
    ['*login', 'feature/login'],
    ['v?.?', 'v1.2'],
    ['a?b', 'a/b'],
    ['*.*.*', '1.2.3'],
    ['**', 'x'],
    ['?', '🚀'],
    ['a+b(c)$', 'a+b(c)$'],
    ['hello!', 'hello!'],
    ['a]}', 'a]}'],
  ])('glob %s matches %s', (glob, name) => {
    expect(matches(glob, name)).toBe(true)
  })

  test.each([
    ['main', 'main2'],
    ['main', 'Main'],
    ['release-*', 'my-release-v2'],
    ['v?', 'v'],
    ['v?', 'v12'],
    ['a.c', 'abc'],
    ['*a*b', 'ba'],
    ['?', ''],
  ])('glob %s does not match %j', (glob, name) => {
    expect(matches(glob, name)).toBe(false)
  })

  test('a glob matches the same names as a backtracking matcher', () => {
    const text = (characters: string) => fc.string({ unit: fc.constantFrom(...characters) })
    fc.assert(
      fc.property(text('ab/*?').filter(Boolean), text('ab/'), (glob, name) => {
        expect(matches(glob, name)).toBe(naive(glob, name))
      }),
      { numRuns: 2000 },
    )
  })

  test('a glob matches every name made by replacing each * with characters', () => {
    const part = fc.string({ unit: fc.constantFrom(...'a/-1') })
    fc.assert(
      fc.property(fc.array(fc.tuple(part, part), { minLength: 1 }), part, (pairs, end) => {
        const glob = `${pairs.map(([literal]) => `${literal}*`).join('')}${end}`
        const name = `${pairs.map((pair) => pair.join('')).join('')}${end}`
        fc.pre(glob.length <= 255)
        expect(matches(glob, name)).toBe(true)
      }),
    )
  })

  test('a glob with 127 stars is matched with 4,001 characters in under 500 ms', () => {
    const start = performance.now()
    expect(matches('*a'.repeat(127), `${'a'.repeat(4000)}b`)).toBe(false)
    expect(performance.now() - start).toBeLessThan(500)
  })

  test.each([
    ['', /it is empty; "\*" matches every name/],
    ['!main', /"!main" is not a glob of ref names: names cannot be excluded/],
    ['v[12]', /"\[" has no meaning in it: "\*" stands for any characters, "\?" for one/],
    ['{a,b}', /"\{" has no meaning/],
    ['a\\*', /has no meaning/],
    ['refs/tags/*', /written without "refs\/tags\/"/],
    ['a b', /no ref name has the character " "/],
    ['a\nb', /no ref name has the character "\\n"/],
    ['v1:latest', /no ref name has the character ":"/],
    ['a'.repeat(256), /^"a{40}…" .* has 256 characters, at most 255 are allowed/],
  ])('glob %j is rejected with the rule that it breaks', (glob, message) => {
    expect(globFailure(glob)).toMatch(message)
    expect(() => new Globs(['fine', glob])).toThrow(message)
  })

  test('a list of globs matches a name that any of them matches', () => {
    const globs = new Globs(['main', 'release-*'])
    expect(['main', 'release-1', 'develop'].map((name) => globs.matches(name))).toEqual([
      ...[true, true, false],
    ])
  })

  test('an empty list of globs matches nothing', () => {
    expect(new Globs([]).matches('main')).toBe(false)
  })
})

describe('parseGlobList', () => {
  test.each(['release-*,v?', 'release-* v?', ' release-*, v? ', 'release-*,\n  v?,'])(
    'globs in a setting are separated by commas or white space: %j',
    (text) => {
      expect(isGlobList(text)).toBe(true)
      expect(parseGlobList(text).texts).toEqual(['release-*', 'v?'])
    },
  )

  test('the glob list "none" is empty', () => {
    expect(isGlobList('none')).toBe(true)
    expect(parseGlobList('none').texts).toEqual([])
  })

  test.each(['', ' , ', 'main,!develop', '{a,b}'])('glob list %j is rejected', (text) => {
    expect(isGlobList(text)).toBe(false)
  })
})

function naive(glob: string, name: string): boolean {
  if (glob === '') return name === ''
  const [first, rest] = [glob[0], glob.slice(1)]
  if (first === '*') return naive(rest, name) || (name !== '' && naive(glob, name.slice(1)))
  return name !== '' && (first === '?' || first === name[0]) && naive(rest, name.slice(1))
}
