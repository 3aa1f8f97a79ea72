import { describe, expect, test } from 'vitest'
import type { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'

describe('an image name', () => {
  test('is a list of packages without order or repetition', () => {
    expect(parseImageName('jq/git/jq').packages).toEqual(['git', 'jq'])
    expect(parseImageName('git/jq').packages).toEqual(['git', 'jq'])
  })

  test('keeps what the client wrote, for messages', () => {
    expect(parseImageName('jq/git/jq').text).toBe('jq/git/jq')
  })

  test.each(['shell', 'shell/git', 'git/shell'])(
    'expands shell in %s, wherever it stands',
    (name) => {
      const { packages, shell } = parseImageName(name)
      expect(shell).toBe(true)
      expect(packages).toEqual([
        'bashInteractive',
        'coreutils',
        ...(name === 'shell' ? [] : ['git']),
        'moreutils',
        'nano',
      ])
    },
  )

  test.each(['arm64/hello', 'hello/arm64'])(
    'chooses the platform in %s, wherever arm64 stands',
    (name) => {
      expect(parseImageName(name)).toMatchObject({
        packages: ['hello'],
        platform: { architecture: 'arm64', system: 'aarch64-linux' },
      })
    },
  )

  test('is for amd64 unless it says otherwise', () => {
    expect(parseImageName('hello').platform).toEqual({
      os: 'linux',
      architecture: 'amd64',
      system: 'x86_64-linux',
    })
  })

  test('needs a package besides the platform', () => {
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
  ])('may be %s', (name) => {
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
    ['a'.repeat(256), /256 characters, 255 are allowed/],
  ])('may not be %j', (name, reason) => {
    expect(() => parseImageName(name)).toThrow(reason)
    try {
      parseImageName(name)
    } catch (error) {
      expect((error as Failure).kind).toBe('name-invalid')
    }
  })
})
