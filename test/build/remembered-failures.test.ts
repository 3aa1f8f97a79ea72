import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { RememberedFailures } from '../../service/build/remembered-failures.ts'
import { Failure, type FailureKind } from '../../service/image/errors.ts'

const second = 1000
const broken = new Failure('build-failed', 'hello does not build')
const outOfReach = new Failure('unavailable', 'no answer')

let failures: RememberedFailures

beforeEach(() => {
  failures = new RememberedFailures()
})

describe('how long a failure answers pulls', () => {
  let milliseconds: number

  beforeEach(() => {
    milliseconds = 1000
    // LRUCache keeps a reference to the real `performance`, so its method is replaced, not the object.
    vi.spyOn(performance, 'now').mockImplementation(() => milliseconds)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  function pass(duration: number): void {
    milliseconds += duration
    vi.advanceTimersByTime(duration)
  }

  test.each([
    ['of a pull that failed at once', broken, 'pull', 0, 30 * second],
    ['of a pull whose build took ten minutes', broken, 'pull', 600 * second, 600 * second],
    ['of a pull whose build took an hour', broken, 'pull', 3600 * second, 900 * second],
    ['of a prebuild that failed at once', broken, 'prebuild', 0, 600 * second],
    ['of a prebuild that took an hour', broken, 'prebuild', 3600 * second, 900 * second],
    ['of a storage out of reach', outOfReach, 'pull', 0, 3 * second],
    ['of a storage out of reach for an hour', outOfReach, 'prebuild', 3600 * second, 3 * second],
  ] as const)('a failure %s answers pulls for its time only', (_, failure, cause, took, time) => {
    failures.note('a', failure, cause, took)
    pass(time - second)
    expect(failures.get('a', 'pull')).toBe(failure)
    pass(2 * second)
    expect(failures.get('a', 'pull')).toBeUndefined()
  })

  test('a failure does not last longer because pulls get it', () => {
    failures.note('a', broken, 'pull')
    pass(20 * second)
    expect(failures.get('a', 'pull')).toBe(broken)
    pass(11 * second)
    expect(failures.get('a', 'pull')).toBeUndefined()
  })

  test('a lasting failure stops prebuilds after it has stopped to answer pulls', () => {
    failures.note('a', broken, 'prebuild')
    pass(3600 * second)
    expect(failures.get('a', 'pull')).toBeUndefined()
    expect(failures.get('a', 'prebuild')).toBe(broken)
  })
})

describe('which failures stop prebuilds', () => {
  test.each<FailureKind>([
    'manifest-unknown',
    'evaluation-failed',
    'build-failed',
    'build-timed-out',
  ])('%s of a prebuild stops prebuilds of the image', (kind) => {
    const failure = new Failure(kind, 'no')
    failures.note('a', failure, 'prebuild')
    expect(failures.get('a', 'prebuild')).toBe(failure)
  })

  test.each<FailureKind>(['unavailable', 'overloaded', 'still-building'])(
    '%s does not stop prebuilds',
    (kind) => {
      failures.note('a', new Failure(kind, 'later'), 'prebuild')
      expect(failures.get('a', 'prebuild')).toBeUndefined()
    },
  )

  test.each<FailureKind>(['build-failed', 'manifest-unknown', 'build-timed-out'])(
    '%s of a pull alone does not stop prebuilds',
    (kind) => {
      failures.note('a', new Failure(kind, 'no'), 'pull')
      expect(failures.get('a', 'prebuild')).toBeUndefined()
      expect(failures.get('a', 'pull')?.kind).toBe(kind)
    },
  )

  test('stopPrebuilds stores lasting failures for prebuilds, and leaves the answers to pulls alone', () => {
    failures.stopPrebuilds('a', broken)
    failures.stopPrebuilds('b', outOfReach)
    failures.stopPrebuilds('c', new TypeError('x is undefined'))
    expect(['a', 'b', 'c'].map((key) => failures.get(key, 'prebuild'))).toEqual([
      broken,
      undefined,
      undefined,
    ])
    expect(failures.get('a', 'pull')).toBeUndefined()
  })

  test('a passing failure of a pull does not replace the lasting failure of a prebuild', () => {
    failures.note('a', broken, 'prebuild')
    failures.note('a', outOfReach, 'pull')
    expect(failures.get('a', 'prebuild')).toBe(broken)
    expect(failures.get('a', 'pull')).toBe(outOfReach)
  })
})

const causes = ['pull', 'prebuild'] as const

test.each(causes)('for a %s, a failure of one image is not returned for another image', (cause) => {
  failures.note('a', broken, cause)
  expect(failures.get('b', cause)).toBeUndefined()
})

test.each(causes)('for a %s, an error that is no Failure is not remembered', (cause) => {
  failures.note('a', new TypeError('x is undefined'), cause)
  expect(failures.get('a', cause)).toBeUndefined()
})

test.each(causes)(
  'for a %s, forget deletes the failure of one image, clear those of all',
  (cause) => {
    for (const key of ['a', 'b', 'c']) failures.note(key, new Failure('build-failed', key), cause)
    const messages = () => ['a', 'b', 'c'].map((key) => failures.get(key, cause)?.message)
    failures.forget('a')
    expect(messages()).toEqual([undefined, 'b', 'c'])
    failures.clear()
    expect(messages()).toEqual([undefined, undefined, undefined])
  },
)
