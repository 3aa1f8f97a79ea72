import { describe, expect, test } from 'vitest'
import { BuildLog } from '../../../service/adapters/nix/build-log.ts'

const drv = '/nix/store/r967sixmxzynzlsfqx8af0wfhfzj1mwq-fail.drv'
const other = '/nix/store/fp6dlhf103k258gj70qngl66v99v7hki-dep.drv'

function logOf(...events: (object | string)[]): BuildLog {
  const log = new BuildLog()
  for (const event of events) {
    log.add(typeof event === 'string' ? event : `@nix ${JSON.stringify(event)}`)
  }
  return log
}
const start = (id: number, derivation: string) => ({
  action: 'start',
  id,
  level: 3,
  text: `building '${derivation}'`,
  type: 105,
  fields: [derivation, '', 1, 1],
})
const printed = (id: number, line: string) => ({ action: 'result', id, type: 101, fields: [line] })
const error = (msg: string) => ({
  action: 'msg',
  level: 0,
  msg: `\u001b[31;1merror:\u001b[0m ${msg}`,
})

describe('a build log', () => {
  test('tells the derivation that failed, why, and what its builder printed', () => {
    const log = logOf(
      start(1, drv),
      start(2, other),
      printed(1, 'line 1'),
      printed(2, 'of another builder'),
      printed(1, '\u001b[1mline 2\u001b[0m'),
      error(`builder for '\u001b[35;1m${drv}\u001b[0m' failed with exit code 3`),
      error(`1 dependencies of derivation '${other}' failed to build`),
    )
    expect(log.failures).toEqual([
      {
        derivation: drv,
        reason: 'failed with exit code 3',
        timedOut: false,
        lines: ['line 1', 'line 2'],
      },
    ])
  })

  test.each([
    // Nix 2.8, 2.18, 2.28, 2.31
    `building of '${drv}!out' from .drv file timed out after 2 seconds`,
    `building of '${drv}^out' from .drv file timed out after 2 seconds`,
    `building of '${drv}' timed out after 2 seconds`,
    `Cannot build '${drv}'.\n       Reason: builder timed out after 2 seconds.`,
  ])('knows a time-out: %s', (message) => {
    expect(logOf(start(1, drv), error(message)).failures).toMatchObject([
      { derivation: drv, reason: 'timed out after 2 seconds', timedOut: true },
    ])
  })

  test.each([
    [
      `builder for '${drv}' failed with exit code 1;\n last 10 log lines:`,
      'failed with exit code 1',
    ],
    [
      `Cannot build '${drv}'.\n       Reason: builder failed with exit code 1.`,
      'failed with exit code 1',
    ],
    [`builder for '${drv}' failed due to signal 9 (Killed)`, 'failed due to signal 9 (Killed)'],
    [
      `builder for '${drv}' failed to produce output path for output 'out' at '/nix/store/x'`,
      "failed to produce output path for output 'out' at '/nix/store/x'",
    ],
  ])('knows a failure: %s', (message, reason) => {
    expect(logOf(error(message)).failures).toMatchObject([{ derivation: drv, reason }])
  })

  test('keeps errors that belong to no builder', () => {
    const message = `a 'aarch64-linux' with features {} is required to build '${drv}', but I am a 'x86_64-linux'`
    expect(logOf(error(message), 'error: opening lock file: Permission denied').errors).toEqual([
      `error: ${message}`,
      'error: opening lock file: Permission denied',
    ])
  })

  test('keeps the end of a long log, and of a long line the beginning', () => {
    const lines = Array.from({ length: 100 }, (_, index) => printed(1, `line ${index}`))
    const log = logOf(
      start(1, drv),
      ...lines,
      printed(1, 'x'.repeat(5000)),
      error(`builder for '${drv}' failed with exit code 1`),
    )
    const kept = log.failures[0]?.lines ?? []
    expect(kept).toHaveLength(30)
    expect(kept.at(-2)).toBe('line 99')
    expect(kept.at(-1)).toHaveLength(1000)
  })

  test('is not troubled by lines that are no events', () => {
    expect(logOf('@nix {', '@nix []', '@nix {"action":"new"}', 'warning: x', '').failures).toEqual(
      [],
    )
  })
})
