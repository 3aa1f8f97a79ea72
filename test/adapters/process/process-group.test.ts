import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { ProcessGroups, runInGroup } from '../../../service/adapters/process/process-group.ts'

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' }
const sh = (script: string, options: Partial<Parameters<typeof runInGroup>[2]> = {}) =>
  runInGroup('sh', ['-c', script], { env, ...options })

/** Living processes (no zombies) whose arguments hold the mark. */
function processes(mark: string): string[] {
  return execFileSync('ps', ['-eo', 'stat=,pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(mark) && !/^\s*Z/.test(line))
}

/** A duration that no other process sleeps for. */
let marks = 0
function mark(): string {
  marks += 1
  return `3${process.pid}${marks}.5`
}

describe('a program that ends by itself', () => {
  test('gives its output and exit code; a failure is a result', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      signal: undefined,
      stdout: 'out\n',
      stderr: 'err\n',
      timedOut: undefined,
    })
  })

  test('sees the environment that was given and nothing else', async () => {
    process.env.SLIPWAY_TEST_SECRET = 'x'
    const { stdout } = await runInGroup('/usr/bin/env', [], { env: { ONLY: 'this' } })
    delete process.env.SLIPWAY_TEST_SECRET
    expect(stdout).toBe('ONLY=this\n')
  })

  test('reads its input, or an empty stdin, and may leave it unread', async () => {
    const input = 'x'.repeat(3_000_000)
    expect((await sh('cat', { input })).stdout).toBe(input)
    expect((await sh('cat')).stdout).toBe('')
    expect((await sh('exit 0', { input })).exitCode).toBe(0)
  })

  test('may write much, and bytes that are not UTF-8', async () => {
    const { stdout } = await sh('head -c 8000000 /dev/zero')
    expect(stdout).toHaveLength(8_000_000)
    const bad = await sh("printf 'a\\377b'; printf 'c\\377d' >&2")
    expect([bad.stdout, bad.stderr]).toEqual(['a\ufffdb', 'c\ufffdd'])
  })

  test('has its stderr told line by line, and its end kept', async () => {
    const lines: string[] = []
    const result = await sh("printf 'a\\r\\nb' >&2; seq 100000 >&2; printf end >&2", {
      onStderrLine: (line) => lines.push(line),
    })
    expect(lines.slice(0, 3)).toEqual(['a', 'b1', '2'])
    expect(lines.at(-1)).toBe('end')
    expect(lines).toHaveLength(100_002)
    expect(result.stderr.length).toBeLessThanOrEqual(64 * 1024)
    expect(result.stderr.endsWith('100000\nend')).toBe(true)
  })

  test('says so when a signal ended it', async () => {
    expect(await sh('kill -9 $$')).toMatchObject({ exitCode: undefined, signal: 'SIGKILL' })
  })

  test('leaves no child behind', async () => {
    const time = mark()
    const start = performance.now()
    expect((await sh(`sleep ${time} & echo started`)).stdout).toBe('started\n')
    expect(performance.now() - start).toBeLessThan(2500)
    expect(processes(`sleep ${time}`)).toEqual([])
  })

  test('does not hold its caller up by a pipe that somebody outside the group keeps open', async () => {
    const start = performance.now()
    expect((await sh('setsid sleep 5 & sleep 0.2; echo done')).stdout).toBe('done\n')
    expect(performance.now() - start).toBeLessThan(3000)
  })
})

test('a program that cannot be started is an error that quotes no argument', async () => {
  const run = runInGroup('/nonexistent/git', ['https://u:secret@host/'], { env })
  const error = await run.catch((thrown: Error) => thrown)
  expect(String(error)).toMatch(/cannot start \/nonexistent\/git: .*ENOENT/)
  expect(JSON.stringify(error) + String(error)).not.toContain('secret')
})

test('too much output ends the run with an error', async () => {
  await expect(sh('yes', { maxStdout: 100_000 })).rejects.toThrow('more than 100000 bytes')
})

describe('time-outs', () => {
  test('the whole run', async () => {
    const time = mark()
    const result = await sh(`while :; do echo x; sleep 0.05; done & sleep ${time}`, {
      timeout: 400,
    })
    expect(result).toMatchObject({ timedOut: 'timeout', signal: 'SIGTERM' })
    expect(processes(`sleep ${time}`)).toEqual([])
  })

  test('silence, which output on either stream breaks', async () => {
    const time = mark()
    const script = `for i in 1 2 3; do sleep 0.2; echo $i; sleep 0.2; echo >&2; done; sleep ${time}`
    const result = await sh(script, { idleTimeout: 500 })
    expect(result).toMatchObject({ timedOut: 'idle', stdout: '1\n2\n3\n' })
    expect(processes(`sleep ${time}`)).toEqual([])
  })

  test('end even what does not listen to SIGTERM', async () => {
    const time = mark()
    const script = `trap '' TERM; sh -c "trap '' TERM; sleep ${time}; :" & sleep ${time}; sleep ${time}`
    const result = await sh(script, { timeout: 200 })
    expect(result).toMatchObject({ timedOut: 'timeout', signal: 'SIGKILL' })
    expect(processes(`sleep ${time}`)).toEqual([])
  })
})

describe('aborting', () => {
  test('ends the group and throws the reason', async () => {
    const time = mark()
    const controller = new AbortController()
    const run = sh(`sleep ${time} & sleep ${time}`, { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('changed my mind')), 100)
    await expect(run).rejects.toThrow('changed my mind')
    expect(processes(`sleep ${time}`)).toEqual([])
  })

  test('before the start starts nothing; after the end signals nobody', async () => {
    await expect(sh('true', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
    const controller = new AbortController()
    await sh('true', { signal: controller.signal })
    controller.abort()
  })
})

describe('all groups of a service', () => {
  test('end together, and no new one starts', async () => {
    const groups = new ProcessGroups()
    const times = [mark(), mark(), mark()]
    const runs = times.map((time) => groups.run('sleep', [time], { env }))
    const ends = Promise.allSettled(runs)
    await groups.killAll()
    expect((await ends).map((end) => end.status)).toEqual(['rejected', 'rejected', 'rejected'])
    for (const time of times) expect(processes(`sleep ${time}`)).toEqual([])
    await expect(groups.run('true', [], { env })).rejects.toThrow('shutting down')
  })

  test('heed the signal of a single run', async () => {
    const groups = new ProcessGroups()
    const signal = AbortSignal.timeout(100)
    await expect(groups.run('sleep', [mark()], { env, signal })).rejects.toThrow()
    expect((await groups.run('true', [], { env })).exitCode).toBe(0)
  })
})
