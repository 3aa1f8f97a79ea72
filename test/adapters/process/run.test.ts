import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runInGroup } from '../../../service/adapters/process/run.ts'
import { processesWith } from '../../support/processes.ts'

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' }
const sh = (script: string, options: Partial<Parameters<typeof runInGroup>[2]> = {}) =>
  runInGroup('sh', ['-c', script], { env, ...options })

/** A duration for `sleep` that no other process of the machine has. */
let durations = 0
function uniqueDuration(): string {
  durations += 1
  return `3${process.pid}${durations}.5`
}

describe('the result of a run', () => {
  test('a run returns stdout, stderr and exit code of the program, also if that fails', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      signal: undefined,
      stdout: 'out\n',
      stderr: 'err\n',
      timedOut: undefined,
    })
  })

  test('a run returns the signal that ended the program', async () => {
    expect(await sh('kill -9 $$')).toMatchObject({ exitCode: undefined, signal: 'SIGKILL' })
  })

  test('a run returns large output, and replaces bytes that are not UTF-8', async () => {
    const { stdout } = await sh('head -c 8000000 /dev/zero')
    expect(stdout).toHaveLength(8_000_000)
    const bad = await sh("printf 'a\\377b'; printf 'c\\377d' >&2")
    expect([bad.stdout, bad.stderr]).toEqual(['a\ufffdb', 'c\ufffdd'])
  })

  test('a character that arrives in two pieces is decoded', async () => {
    const script = "printf '\\303' >&2; sleep 0.1; printf '\\244\\n' >&2"
    const lines: string[] = []
    const { stderr } = await sh(script, { onStderrLine: (line) => lines.push(line) })
    expect([stderr, lines]).toEqual(['ä\n', ['ä']])
  })

  test('a run keeps the last 64 KiB of stderr and passes on each line', async () => {
    const lines: string[] = []
    const { stderr } = await sh('seq 100000 >&2; printf end >&2', {
      onStderrLine: (line) => lines.push(line),
    })
    expect(lines).toHaveLength(100_001)
    expect(lines.at(-1)).toBe('end')
    expect(stderr).toHaveLength(64 * 1024)
    expect(stderr.endsWith('100000\nend')).toBe(true)
  })

  test('a run rejects if the program writes more to stdout than allowed', async () => {
    await expect(sh('yes', { maxStdout: 100_000 })).rejects.toThrow(
      'sh wrote more than 100000 bytes',
    )
  })
})

describe('what a program gets', () => {
  test('a program gets the given environment and no variable of the service', async () => {
    process.env.SLIPWAY_TEST_SECRET = 'x'
    const { stdout } = await runInGroup('/usr/bin/env', [], { env: { ONLY: 'this' } })
    delete process.env.SLIPWAY_TEST_SECRET
    expect(stdout).toBe('ONLY=this\n')
  })

  test('a program gets its input on stdin, which is empty without an input', async () => {
    const input = 'x'.repeat(3_000_000)
    expect((await sh('cat', { input })).stdout).toBe(input)
    expect((await sh('cat')).stdout).toBe('')
  })

  test('a program may leave its input unread', async () => {
    expect((await sh('exit 0', { input: 'x'.repeat(3_000_000) })).exitCode).toBe(0)
  })
})

test('a program that cannot be started fails the run with a message without arguments', async () => {
  const run = runInGroup('/nonexistent/git', ['https://u:secret@host/'], { env })
  const error = await run.catch((thrown: Error) => thrown)
  expect(error).toEqual(new Error('cannot start /nonexistent/git: no such program or folder'))
  const argument = runInGroup('true', ['secret\0'], { env }).catch((thrown: Error) => thrown)
  expect(await argument).toEqual(new Error('cannot start true: TypeError'))
})

describe('descendants of a program', () => {
  test('a child that outlives the program is ended', async () => {
    const time = uniqueDuration()
    expect((await sh(`sleep ${time} & echo started`)).stdout).toBe('started\n')
    expect(await processesWith(`sleep ${time}`)).toEqual([])
  })

  test('a child that ignores SIGTERM and has closed its output is ended', async () => {
    const time = uniqueDuration()
    const child = `trap '' TERM; sleep ${time}; sleep ${time}`
    const started = performance.now()
    await sh(`(${child}) >/dev/null 2>&1 & sleep 0.2`)
    expect(await processesWith(`sleep ${time}`)).toEqual([])
    expect(performance.now() - started).toBeGreaterThan(2900)
  }, 15_000)

  test('a process outside the group that holds the output open delays the result by 1 s', async () => {
    const time = uniqueDuration()
    expect((await sh(`setsid sleep ${time} & sleep 0.2; echo done`)).stdout).toBe('done\n')
    const [outside = ''] = await processesWith(`sleep ${time}`)
    process.kill(Number.parseInt(outside, 10))
  })

  test('a zombie in the group does not delay the result', async () => {
    const time = uniqueDuration()
    // The parent leaves the group and never reaps its child, which stays in the group as a zombie.
    const perl = `fork() or exit 0; select(undef, undef, undef, 0.1); setpgrp(0, 0); exec('sleep', '${time}')`
    const started = performance.now()
    await sh(`perl -e "${perl}" >/dev/null 2>&1 & sleep 0.5`)
    expect(performance.now() - started).toBeLessThan(2900)
    const [parent = ''] = await processesWith(`sleep ${time}`)
    process.kill(Number.parseInt(parent, 10))
  })

  test('the whole group is ended when the service exits', async () => {
    const time = uniqueDuration()
    const run = resolve(import.meta.dirname, '../../../service/adapters/process/run.ts')
    const script = `
      import { runInGroup } from ${JSON.stringify(run)}
      const onStderrLine = () => process.exit(7)
      const script = 'sleep ${time} & echo started >&2; sleep ${time}'
      await runInGroup('sh', ['-c', script], { env: process.env, onStderrLine })`
    const service = spawn(process.execPath, ['--input-type=module', '-e', script])
    expect(await once(service, 'exit')).toEqual([7, null])
    await expect.poll(() => processesWith(`sleep ${time}`)).toEqual([])
  })
})

describe('time-outs', () => {
  test('a run that takes too long is ended with all descendants', async () => {
    const time = uniqueDuration()
    const script = `while :; do echo x; sleep 0.05; done & sleep ${time}`
    const result = await sh(script, { timeout: 400 })
    expect(result).toMatchObject({ timedOut: 'timeout', signal: 'SIGTERM' })
    expect(await processesWith(`sleep ${time}`)).toEqual([])
  })

  test('a run without output is ended, and output on either stream postpones that', async () => {
    const time = uniqueDuration()
    const script = `for i in 1 2 3; do sleep 0.2; echo $i; sleep 0.2; echo >&2; done; sleep ${time}`
    const result = await sh(script, { idleTimeout: 500 })
    expect(result).toMatchObject({ timedOut: 'idle', stdout: '1\n2\n3\n' })
    expect(await processesWith(`sleep ${time}`)).toEqual([])
  })

  test('a program that ignores SIGTERM gets SIGKILL', async () => {
    const time = uniqueDuration()
    const script = `trap '' TERM; sh -c "trap '' TERM; sleep ${time}; :" & sleep ${time}; sleep ${time}`
    const result = await sh(script, { timeout: 200 })
    expect(result).toMatchObject({ timedOut: 'timeout', signal: 'SIGKILL' })
    expect(await processesWith(`sleep ${time}`)).toEqual([])
  }, 15_000)
})

describe('the signal of a run', () => {
  test('an abort ends the program with all descendants and rejects with the reason', async () => {
    const time = uniqueDuration()
    const controller = new AbortController()
    const run = sh(`sleep ${time} & echo started >&2; sleep ${time}`, {
      signal: controller.signal,
      onStderrLine: () => controller.abort(new Error('not needed any more')),
    })
    await expect(run).rejects.toThrow('not needed any more')
    expect(await processesWith(`sleep ${time}`)).toEqual([])
  })

  test('an abort before the start starts nothing', async () => {
    const signal = AbortSignal.abort(new Error('not needed'))
    await expect(runInGroup('/nonexistent', [], { env, signal })).rejects.toThrow('not needed')
  })

  test('an abort after the end has no effect', async () => {
    const controller = new AbortController()
    await sh('true', { signal: controller.signal })
    controller.abort()
  })
})
