import { beforeEach, expect, test } from 'vitest'
import { Failure, type FailureKind } from '../../service/image/errors.ts'
import { FailedPrebuilds } from '../../service/prebuild/failed-prebuilds.ts'

let failed: FailedPrebuilds

beforeEach(() => {
  failed = new FailedPrebuilds()
})

test.each<FailureKind>([
  'manifest-unknown',
  'evaluation-failed',
  'build-failed',
  'build-timed-out',
])('an image that ended in %s is not tried again, and the reason is kept', (kind) => {
  const failure = new Failure(kind, 'no')
  expect(failed.note('key', failure)).toBe(true)
  expect(failed.get('key')).toBe(failure)
  expect(failed.get('other key')).toBeUndefined()
})

test.each([
  ['unavailable', new Failure('unavailable', 'no answer')],
  ['overloaded', new Failure('overloaded', 'busy')],
  ['still-building', new Failure('still-building', 'wait')],
  ['something unforeseen', new TypeError('x is undefined')],
])('an image that ended in %s may be tried again', (_, error) => {
  expect(failed.note('key', error)).toBe(false)
  expect(failed.get('key')).toBeUndefined()
})

test('a failure is forgotten when another attempt is asked for', () => {
  for (const key of ['a', 'b', 'c']) failed.note(key, new Failure('build-failed', key))
  failed.forget('a')
  expect(['a', 'b', 'c'].map((key) => failed.get(key)?.message)).toEqual([undefined, 'b', 'c'])
  failed.clear()
  expect(failed.get('b')).toBeUndefined()
})
