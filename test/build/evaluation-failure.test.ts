import { describe, expect, test } from 'vitest'
import { evaluationFailure, type FailedOutcome } from '../../service/build/evaluation-failure.ts'

const missing = (name: string, known: string[], level = ''): FailedOutcome => ({
  status: 'missing',
  ...{ name, level, known },
})
const messageOf = (...outcomes: FailedOutcome[]) => evaluationFailure(outcomes).message

describe('evaluationFailure for a missing package', () => {
  test('a missing package is reported with the nearest names of the set', () => {
    const { kind, message } = evaluationFailure([missing('helo', ['git', 'hello', 'htop'])])
    expect(kind).toBe('manifest-unknown')
    expect(message).toBe('the package set has no package "helo"; the nearest names are hello')
  })

  test('a missing package that resembles no name gets no suggestions', () => {
    expect(messageOf(missing('qqqqqqq', ['git']))).toBe('the package set has no package "qqqqqqq"')
  })

  test.each([
    ['pyhton3packages', 'python3Packages', 'python3packages'],
    ['8zz', '_7zz', '7zz'],
    ['bashinteractiv', 'bashInteractive', 'bashinteractive'],
  ])(
    'missing package %s: attribute %s is suggested as %s, as image names spell it',
    (name, attribute, spelling) => {
      expect(messageOf(missing(name, [attribute]))).toMatch(
        new RegExp(`the nearest names are ${spelling}$`),
      )
    },
  )

  test('suggestions for a package missing in a nested set carry the name of that set', () => {
    const outcome = missing('python3packages.reqests', ['requests', 'numpy'], 'python3Packages')
    expect(messageOf(outcome)).toBe(
      'the package set has no package "python3packages.reqests"; ' +
        'the nearest names are python3packages.requests',
    )
  })

  test('suggestions from a set whose name begins with a digit keep the digit spelling', () => {
    const outcome = missing('tools.7zz.hel', ['help'], 'tools._7zz')
    expect(messageOf(outcome)).toMatch(/the nearest names are tools\.7zz\.help$/)
  })

  test('a dotted name whose first part is missing gets suggestions for that part', () => {
    const outcome = missing('pythn3packages.requests', ['python3Packages', 'git'])
    expect(messageOf(outcome)).toMatch(/the nearest names are python3packages$/)
  })

  test('attributes that differ only in case are suggested once', () => {
    const outcome = missing('helo', ['Hello', 'hello'])
    expect(messageOf(outcome)).toMatch(/the nearest names are hello$/)
  })
})

test('one failure lists every package that failed', () => {
  const failure = evaluationFailure([
    missing('helo', ['hello']),
    missing('zlip', ['zlib']),
    { status: 'not-a-derivation', name: 'lib', type: 'string' },
  ])
  for (const name of ['"helo"', '"zlip"', '"lib"']) expect(failure.message).toContain(name)
  expect(failure.detail).toEqual({ packages: ['helo', 'zlip', 'lib'] })
})

test('a broken package and a missing one are evaluation-failed together', () => {
  const broken: FailedOutcome = { status: 'failed', name: 'hello', message: 'undefined' }
  expect(evaluationFailure([missing('helo', []), broken]).kind).toBe('evaluation-failed')
})

describe('evaluationFailure for each outcome', () => {
  const outcomes: [string, FailedOutcome, string, RegExp][] = [
    [
      'a set of packages is reported with examples of its members',
      { status: 'set', name: 'tools', members: ['_7zz', 'htop'] },
      'manifest-unknown',
      /^"tools" is a set of packages.*tools\.7zz, tools\.htop$/,
    ],
    [
      'an empty set of packages is reported as empty',
      { status: 'set', name: 'tools', members: [] },
      'manifest-unknown',
      /^"tools" is an empty set of packages$/,
    ],
    [
      'a value that is not a derivation is reported with its type',
      { status: 'not-a-derivation', name: 'version', type: 'string' },
      'manifest-unknown',
      /"version".*type string/,
    ],
    [
      'a broken package is reported with the error of Nix',
      { status: 'failed', name: 'hello', message: 'undefined variable' },
      'evaluation-failed',
      /package hello.*undefined variable/,
    ],
    [
      'a package whose evaluation takes too long is reported with the limit and its setting',
      { status: 'timed-out', name: 'hello', seconds: 120 },
      'evaluation-failed',
      /package hello.*120 seconds.*SLIPWAY_EVAL_TIMEOUT/,
    ],
  ]

  test.each(outcomes)('%s', (_, outcome, kind, message) => {
    expect(evaluationFailure([outcome])).toMatchObject({
      kind,
      message: expect.stringMatching(message),
    })
  })
})
