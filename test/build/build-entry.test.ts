import { describe, expect, test } from 'vitest'
import {
  buildEntry,
  failureAndLogOf,
  isBuildId,
  newBuildId,
} from '../../service/build/build-entry.ts'
import { Failure } from '../../service/image/errors.ts'
import { buildEntryOf } from '../support/build-entries.ts'

test('build ids of the same second begin with the time and differ', () => {
  const time = new Date('2026-11-23T15:45:00.123Z')
  expect(newBuildId(time)).toMatch(/^20261123T154500Z-[0-9a-f]{8}$/)
  expect(new Set(Array.from({ length: 100 }, () => newBuildId(time))).size).toBe(100)
})

test('isBuildId accepts new build ids and rejects other texts', () => {
  expect(isBuildId(newBuildId(new Date()))).toBe(true)
  for (const text of ['', 'x', '20261123T154500Z-1f0c9a7', '../20261123T154500Z-1f0c9a7e']) {
    expect(isBuildId(text)).toBe(false)
  }
})

test('a build entry survives being written and read', () => {
  const entry = buildEntryOf({ outcome: 'failed', failure: 'it broke', log: 'a\nb' })
  expect(buildEntry.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry)
})

test('a build entry with an unknown outcome is rejected', () => {
  expect(() => buildEntry.parse({ ...buildEntryOf(), outcome: 'unknown' })).toThrow()
})

test('the failure of a build entry of an earlier version is read from `problem`', () => {
  const { failure, ...entry } = buildEntryOf({ outcome: 'failed', failure: 'it broke' })
  expect(buildEntry.parse({ ...entry, problem: failure })).toEqual({ ...entry, failure })
})

describe('failureAndLogOf', () => {
  test('the first line of a failure message is the failure, the other lines are the log', () => {
    const message = 'package git: the builder failed; the end of its log:\nmaking\nError 1'
    expect(failureAndLogOf(new Failure('build-failed', message))).toEqual({
      failure: 'package git: the builder failed; the end of its log:',
      log: 'making\nError 1',
    })
    expect(failureAndLogOf(new Failure('unavailable', 'no storage'))).toEqual({
      failure: 'no storage',
    })
  })

  test('a long log is cut to its last whole lines', () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}`)
    const message = ['it broke', ...lines].join('\n')
    const { log = '' } = failureAndLogOf(new Failure('build-failed', message))
    expect(log.length).toBeLessThanOrEqual(16_002)
    expect(log).toMatch(/^…\nline \d{4}\n/)
    expect(log.endsWith('line 9999')).toBe(true)
  })

  test('a log of one long line is cut to its end', () => {
    const message = `it broke\n${'y'.repeat(1_000_000)}`
    const { log = '' } = failureAndLogOf(new Failure('build-failed', message))
    expect(log).toBe(`…\n${'y'.repeat(16_000)}`)
  })

  test('a long failure is cut to its beginning', () => {
    const { failure } = failureAndLogOf(new Failure('evaluation-failed', 'x'.repeat(1_000_000)))
    expect(failure).toBe(`${'x'.repeat(2000)}…`)
  })

  test('the message of an internal error is not shown', () => {
    expect(failureAndLogOf(new TypeError('https://user:password@git'))).toEqual({
      failure: 'internal error: see the log of the service',
    })
  })
})
