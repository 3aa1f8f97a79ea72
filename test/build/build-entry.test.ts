import { describe, expect, test } from 'vitest'
import { buildEntry, buildId, explain, isBuildId } from '../../service/build/build-entry.ts'
import { Failure } from '../../service/image/errors.ts'
import { buildEntryOf } from '../support/build-entries.ts'

describe('an id', () => {
  test('begins with the time, and no two are the same', () => {
    const time = new Date('2026-11-23T15:45:00.123Z')
    expect(buildId(time)).toMatch(/^20261123T154500Z-[0-9a-f]{8}$/)
    expect(new Set(Array.from({ length: 100 }, () => buildId(time))).size).toBe(100)
  })

  test('is known by its form', () => {
    expect(isBuildId(buildId(new Date()))).toBe(true)
    for (const text of ['', 'x', '20261123T154500Z-1f0c9a7', '../20261123T154500Z-1f0c9a7e']) {
      expect(isBuildId(text)).toBe(false)
    }
  })
})

test('an entry is the same after it was written and read', () => {
  const entry = buildEntryOf({ outcome: 'failed', failure: 'it broke', log: 'a\nb' })
  expect(buildEntry.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry)
  expect(() => buildEntry.parse({ ...entry, outcome: 'unheard of' })).toThrow()
})

describe('an explanation', () => {
  test('has the first line of the message, and the others as the log', () => {
    const message = 'package git: the builder failed; the end of its log:\nmaking\nError 1'
    expect(explain(new Failure('build-failed', message))).toEqual({
      failure: 'package git: the builder failed; the end of its log:',
      log: 'making\nError 1',
    })
    expect(explain(new Failure('unavailable', 'no storage'))).toEqual({ failure: 'no storage' })
  })

  test('keeps the end of a long log, in whole lines', () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}`)
    const { log = '' } = explain(new Failure('build-failed', ['it broke', ...lines].join('\n')))
    expect(log.length).toBeLessThanOrEqual(16_002)
    expect(log).toMatch(/^…\nline \d{4}\n/)
    expect(log.endsWith('line 9999')).toBe(true)
  })

  test('keeps the beginning of a long line', () => {
    const { failure } = explain(new Failure('evaluation-failed', 'x'.repeat(1_000_000)))
    expect(failure).toBe(`${'x'.repeat(2000)}…`)
    const { log = '' } = explain(new Failure('build-failed', `it broke\n${'y'.repeat(1_000_000)}`))
    expect(log.length).toBe(16_002)
  })

  test('of a fault of the service itself tells nothing', () => {
    expect(explain(new TypeError('https://user:password@git'))).toEqual({
      failure: 'internal error: the log of the service tells more',
    })
  })
})

test('a build entry of an earlier version keeps its failure, which stood under `problem`', () => {
  const { failure, ...entry } = buildEntryOf({ outcome: 'failed', failure: 'it broke' })
  expect(buildEntry.parse({ ...entry, problem: failure })).toEqual({ ...entry, failure })
})
