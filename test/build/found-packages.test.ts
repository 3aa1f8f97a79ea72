import { describe, expect, test } from 'vitest'
import { foundPackages } from '../../service/build/found-packages.ts'
import type { PackageOutcome } from '../../service/closure/package.ts'
import { Failure } from '../../service/image/errors.ts'
import { evaluated } from '../support/fake-nix.ts'

const found = (name: string): PackageOutcome => ({ status: 'found', package: evaluated(name) })
const missing = (name: string, known: string[], level = ''): PackageOutcome => ({
  status: 'missing',
  ...{ name, level, known },
})

function failure(...outcomes: PackageOutcome[]): Failure {
  try {
    foundPackages(outcomes)
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('nothing was wrong')
}

test('packages that were all found come back in order', () => {
  const packages = foundPackages([found('hello'), found('git')])
  expect(packages.map(({ name }) => name)).toEqual(['hello', 'git'])
})

describe('a missing package', () => {
  test('is named, with the nearest names of the set', () => {
    const { kind, message } = failure(missing('helo', ['git', 'hello', 'htop']))
    expect(kind).toBe('manifest-unknown')
    expect(message).toBe('the package set has no package "helo"; the nearest names are hello')
  })

  test('that is like nothing in the set gets no hint', () => {
    expect(failure(missing('qqqqqqq', ['git'])).message).toBe(
      'the package set has no package "qqqqqqq"',
    )
  })

  test.each([
    ['pyhton3packages', 'python3Packages', 'python3packages'],
    ['8zz', '_7zz', '7zz'],
    ['bashinteractiv', 'bashInteractive', 'bashinteractive'],
  ])('%s: %s is spelled as image names are', (wanted, attribute, spelling) => {
    expect(failure(missing(wanted, [attribute])).message).toMatch(
      new RegExp(`the nearest names are ${spelling}$`),
    )
  })

  test('of a set within the set gets hints from there, with their whole names', () => {
    const { message } = failure(
      missing('python3packages.reqests', ['requests', 'numpy'], 'python3Packages'),
    )
    expect(message).toBe(
      'the package set has no package "python3packages.reqests"; ' +
        'the nearest names are python3packages.requests',
    )
  })

  test('of a set whose name begins with a digit keeps that spelling in hints', () => {
    const { message } = failure(missing('tools.7zz.hel', ['help'], 'tools._7zz'))
    expect(message).toMatch(/the nearest names are tools\.7zz\.help$/)
  })

  test('whose set is missing gets hints for the set', () => {
    const { message } = failure(missing('pythn3packages.requests', ['python3Packages', 'git']))
    expect(message).toMatch(/the nearest names are python3packages$/)
  })

  test('is not offered one name twice', () => {
    const { message } = failure(missing('helo', ['Hello', 'hello']))
    expect(message).toMatch(/the nearest names are hello$/)
  })
})

test('all faults stand in one message', () => {
  const failed = failure(missing('helo', ['hello']), found('git'), missing('zlip', ['zlib']), {
    status: 'not-a-derivation',
    name: 'lib',
    type: 'string',
  })
  expect(failed.message).toContain('"helo"')
  expect(failed.message).toContain('"zlip"')
  expect(failed.message).toContain('"lib"')
  expect(failed.message).not.toContain('git')
  expect(failed.detail).toEqual({ packages: ['helo', 'zlip', 'lib'] })
})

describe('a fault is said in its own words', () => {
  const outcomes: [string, PackageOutcome, string, RegExp][] = [
    [
      'a set of packages',
      { status: 'set', name: 'tools', members: ['_7zz', 'htop'] },
      'manifest-unknown',
      /^"tools" is a set of packages.*tools\.7zz, tools\.htop$/,
    ],
    [
      'an empty set',
      { status: 'set', name: 'tools', members: [] },
      'manifest-unknown',
      /^"tools" is an empty set of packages$/,
    ],
    [
      'something else',
      { status: 'not-a-derivation', name: 'version', type: 'string' },
      'manifest-unknown',
      /"version".*type string/,
    ],
    [
      'a broken package',
      { status: 'failed', name: 'hello', message: 'undefined variable' },
      'evaluation-failed',
      /package hello.*undefined variable/,
    ],
    [
      'a package whose evaluation takes too long',
      { status: 'timed-out', name: 'hello', seconds: 120 },
      'evaluation-failed',
      /package hello.*120 seconds.*SLIPWAY_EVAL_TIMEOUT/,
    ],
  ]

  test.each(outcomes)('%s', (_, outcome, kind, message) => {
    expect(failure(outcome)).toMatchObject({ kind, message: expect.stringMatching(message) })
  })

  test('a broken package outweighs a missing one', () => {
    const broken: PackageOutcome = { status: 'failed', name: 'hello', message: 'undefined' }
    expect(failure(missing('helo', []), broken).kind).toBe('evaluation-failed')
  })
})
