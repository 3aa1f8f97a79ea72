import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { BuildLog } from '../../../service/adapters/nix/build-log.ts'

const drv = '/nix/store/r967sixmxzynzlsfqx8af0wfhfzj1mwq-fail.drv'
const other = '/nix/store/fp6dlhf103k258gj70qngl66v99v7hki-dep.drv'

/** Returns a log of events, and of other lines of stderr. */
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
const stop = (id: number) => ({ action: 'stop', id })
const error = (msg: string) => ({
  action: 'msg',
  level: 0,
  msg: `\u001b[31;1merror:\u001b[0m ${msg}`,
})

describe('BuildLog', () => {
  test('a failure has the derivation, how it failed, and the lines of its builder', () => {
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
        failure: 'failed with exit code 3',
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
  ])('a time-out is recognised: %s', (message) => {
    expect(logOf(start(1, drv), error(message)).failures).toMatchObject([
      { derivation: drv, failure: 'timed out after 2 seconds', timedOut: true },
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
  ])('a failed builder is recognised: %s', (message, failure) => {
    expect(logOf(error(message)).failures).toMatchObject([{ derivation: drv, failure }])
  })

  test('errors that belong to no builder are kept apart', () => {
    const message = `a 'aarch64-linux' with features {} is required to build '${drv}', but I am a 'x86_64-linux'`
    expect(logOf(error(message), 'error: opening lock file: Permission denied').errors).toEqual([
      `error: ${message}`,
      'error: opening lock file: Permission denied',
    ])
  })

  test('the last 30 lines of a builder are kept, and the first 1000 characters of a line', () => {
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

  test('the cut part of a long line is not kept in memory', () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const log = logOf(start(1, drv))
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 30; i++) log.add(`@nix ${JSON.stringify(printed(1, 'x'.repeat(1e6)))}`)
    collectGarbage()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5e6)
    log.add(`@nix ${JSON.stringify(error(`builder for '${drv}' failed with exit code 1`))}`)
    expect(log.failures[0]?.lines).toHaveLength(30)
  })

  test('the lines of running builders and of the last fifty stopped ones are kept', () => {
    const path = (n: number) => drv.replace('fail', `fail-${n}`)
    const numbers = Array.from({ length: 100 }, (_, index) => index)
    const linesOf = (n: number, ...events: object[]) =>
      logOf(...events, error(`builder for '${path(n)}' failed with exit code 1`)).failures[0]?.lines
    const begun = numbers.flatMap((n) => [start(n, path(n)), printed(n, `line of ${n}`)])
    const stopped = numbers.slice(1).map((n) => stop(n))
    expect(linesOf(0, ...begun, ...stopped)).toEqual(['line of 0'])
    expect(linesOf(99, ...begun, ...stopped)).toEqual(['line of 99'])
    expect(linesOf(50, ...begun, ...stopped)).toEqual(['line of 50'])
    expect(linesOf(49, ...begun, ...stopped)).toEqual([])
  })

  test('lines and errors contain no credentials and no control characters', () => {
    const log = logOf(
      start(1, drv),
      printed(1, `${'x'.repeat(980)} https://robot:${'secret'.repeat(20)}@host/x`),
      printed(1, '\u001b]0;title\u0007fetching\r https://robot:secret@host/x'),
      error(`builder for '${drv}' failed with exit code 1`),
      error("unable to download 'https://robot:secret@host/x'"),
      "error: cannot open 'https://robot:secret@host/x'",
    )
    expect(log.failures[0]?.lines).toEqual([
      `${'x'.repeat(980)} https://***@host/x`.slice(0, 1000),
      'fetching https://***@host/x',
    ])
    expect(log.errors).toEqual([
      "error: unable to download 'https://***@host/x'",
      "error: cannot open 'https://***@host/x'",
    ])
  })

  test('lines that are no events are ignored', () => {
    expect(logOf('@nix {', '@nix []', '@nix {"action":"new"}', 'warning: x', '').failures).toEqual(
      [],
    )
  })
})
