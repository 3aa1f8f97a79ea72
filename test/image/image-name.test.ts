import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalName, parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'

describe('parseImageName', () => {
  test('order and repetition of packages in a name make no difference', () => {
    expect(parseImageName('jq/git/jq').packages).toEqual(['git', 'jq'])
    expect(parseImageName('git/jq').packages).toEqual(['git', 'jq'])
  })

  test('a parsed name keeps the text that the client wrote', () => {
    expect(parseImageName('jq/git/jq').text).toBe('jq/git/jq')
  })

  test.each(['shell', 'shell/git', 'git/shell'])(
    'shell in the name %s is expanded to its packages',
    (name) => {
      const { packages, hasShell } = parseImageName(name)
      expect(hasShell).toBe(true)
      expect(packages).toEqual([
        'bashInteractive',
        'coreutils',
        ...(name === 'shell' ? [] : ['git']),
        'moreutils',
        'nano',
      ])
    },
  )

  test.each(['arm64/hello', 'hello/arm64'])('arm64 in the name %s chooses the platform', (name) => {
    expect(parseImageName(name)).toMatchObject({
      packages: ['hello'],
      platform: { architecture: 'arm64', system: 'aarch64-linux' },
    })
  })

  test('a name without arm64 is for amd64', () => {
    expect(parseImageName('hello').platform).toEqual({
      os: 'linux',
      architecture: 'amd64',
      system: 'x86_64-linux',
    })
  })

  test('the name arm64 alone is rejected with an example', () => {
    expect(() => parseImageName('arm64')).toThrow(/add a package, as in "arm64\/hello"/)
  })

  test.each([
    'python3packages.requests',
    '7zip',
    'a-b',
    'a--b',
    'a_b',
    'a__b',
    'a.b/c-d/e_f',
    `${'a'.repeat(255)}`,
  ])('image name %s is valid', (name) => {
    expect(parseImageName(name).text).toBe(name)
  })

  test.each([
    ['Git', /lower-case/],
    ['-git', /only between them/],
    ['git-', /only between them/],
    ['a..b', /only between them/],
    ['a___b', /only between them/],
    ['a//b', /separated by "\/"/],
    ['/a', /separated by "\/"/],
    ['a/', /separated by "\/"/],
    ['', /separated by "\/"/],
    ['a b', /separated by "\/"/],
    ['a$(id)', /separated by "\/"/],
    ['ä', /separated by "\/"/],
    ['a'.repeat(256), /256 characters, at most 255 are allowed/],
  ])('image name %j is rejected with the rule that it breaks', (name, message) => {
    expect(() => parseImageName(name)).toThrow(
      expect.objectContaining({ kind: 'name-invalid', message: expect.stringMatching(message) }),
    )
  })
})

describe('canonicalName', () => {
  const canonical = (text: string) => canonicalName(parseImageName(text))

  test.each([
    ['jq/git/jq', 'git/jq'],
    ['git/shell', 'shell/git'],
    ['shell/nano/coreutils', 'shell'],
    ['coreutils/nano', 'coreutils/nano'],
    ['git/arm64/shell', 'arm64/shell/git'],
  ])('the canonical name of %s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected)
  })

  const component = fc.constantFrom('shell', 'arm64', 'git', 'jq', 'nano', 'coreutils', 'a.b')
  const anyName = fc
    .array(component, { minLength: 1, maxLength: 6 })
    .map((components) => components.join('/'))
    .filter((text) => !/^arm64(\/arm64)*$/.test(text))

  test('a canonical name parses to the same image and is its own canonical name', () => {
    fc.assert(
      fc.property(anyName, (text) => {
        const { text: _, ...image } = parseImageName(text)
        const written = canonical(text)
        expect(parseImageName(written)).toEqual({ text: written, ...image })
        expect(canonical(written)).toBe(written)
      }),
    )
  })

  test('two names have the same canonical name exactly if they have the same image key', () => {
    const keyOf = (text: string) =>
      imageKey({ id: 'c' }, parseImageName(text), { compression: 'gzip', layerBudget: 94 })
    fc.assert(
      fc.property(anyName, anyName, (one, other) => {
        expect(canonical(one) === canonical(other)).toBe(keyOf(one) === keyOf(other))
      }),
    )
  })
})
