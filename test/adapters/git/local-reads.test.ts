import { afterEach, beforeEach, expect, test } from 'vitest'
import { GitFailures } from '../../../service/adapters/git/failures.ts'
import { LocalReads } from '../../../service/adapters/git/local-reads.ts'
import { processesWith } from '../../support/processes.ts'
import { failureOf, MirrorWorkspace } from './mirror-workspace.ts'

let workspace: MirrorWorkspace

beforeEach(async () => {
  workspace = await MirrorWorkspace.create()
})
afterEach(() => workspace[Symbol.asyncDispose]())

function readsOf(environment: NodeJS.ProcessEnv, signal = new AbortController().signal) {
  const failures = new GitFailures(workspace.origin.url)
  return new LocalReads({ failures, environment, signal, idleTimeout: 500 })
}

test('reads of all kinds run at most four git processes at a time', async () => {
  const first = await workspace.origin.commit({ file: '1' })
  await workspace.mirror().fetch()
  await workspace.restart()
  const { environment, runs } = await workspace.recordingGit()
  const mirror = workspace.mirror({ environment })
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => [
      await mirror.isReachable(first),
      await mirror.commitsStartingWith(first.slice(0, 7)),
      (await mirror.refDates()).size,
      await mirror.readFile(first, index % 2 === 0 ? 'file' : 'absent'),
    ]),
  )
  expect(answers.slice(0, 2)).toEqual([
    [true, [first], 1, '1'],
    [true, [first], 1, undefined],
  ])
  expect((await runs()).atOnce).toBe(4)
}, 30_000)

test('dates that are requested at the same time are read once', async () => {
  await workspace.origin.commit()
  await workspace.mirror().fetch()
  await workspace.restart()
  const { environment, runs } = await workspace.recordingGit()
  const mirror = workspace.mirror({ environment })
  const all = await Promise.all(Array.from({ length: 1000 }, () => mirror.refDates()))
  expect(all.at(-1)?.size).toBe(1)
  expect(await runs()).toEqual({ total: 1, atOnce: 1 })
})

test('a command that fails without a word is a failure', async () => {
  const commit = await workspace.origin.commit({ a: '1' })
  await workspace.mirror().fetch()
  const environment = await workspace.gitThatFails(['rev-list'], ':')
  const failure = await failureOf(workspace.mirror({ environment }).isReachable(commit))
  expect(failure.message).toBe('git rev-list failed (exit code 1)')
})

test('reads run in the root folder: the folder of the service may be deleted', async () => {
  const commit = await workspace.origin.commit({ a: '1' })
  await workspace.mirror().fetch()
  const environment = await workspace.gitThatFails(['rev-list'], 'echo "in $(pwd)"')
  const failure = await failureOf(workspace.mirror({ environment }).isReachable(commit))
  expect(failure.message).toBe('git rev-list failed (exit code 1): in /')
})

test('a failed read has no cause, and its message contains no credentials', async () => {
  const url = 'http://ann:s3cret%21@127.0.0.1/r.git'
  const environment = await workspace.gitThatFails(['rev-parse'], `echo "at ${url} s3cret!"`)
  const { signal } = new AbortController()
  const reads = new LocalReads({ failures: new GitFailures(url), environment, signal })
  const failure = await failureOf(reads.read('/', ['rev-parse', url]))
  expect(failure.kind).toBe('unavailable')
  expect(failure.message).toBe(
    'git rev-parse failed (exit code 1): at http://***@127.0.0.1/r.git ***',
  )
  expect(failure.cause).toBeUndefined()
  expect(JSON.stringify(failure) + failure.stack).not.toMatch(/s3cret/)
})

test('a git that cannot be started is a failure', async () => {
  const failure = await failureOf(readsOf({ PATH: '/nonexistent' }).read('/', ['rev-parse']))
  expect(failure.message).toBe('cannot start git: no such program or folder')
})

test('a git that is killed is a failure', async () => {
  const reads = readsOf(await workspace.gitThat('kill -9 $$'))
  const failure = await failureOf(reads.read('/', ['rev-parse']))
  expect(failure.message).toBe('git rev-parse failed (killed)')
})

test('a read without output is ended', async () => {
  const time = `3${process.pid}.7`
  const reads = readsOf(await workspace.gitThat(`exec sleep ${time}`))
  const failure = await failureOf(reads.read('/', ['rev-parse']))
  expect(failure.message).toBe('git rev-parse printed nothing for 0.5 s and was stopped.')
  expect(await processesWith(`sleep ${time}`)).toEqual([])
})

test('a shutdown ends reads that run, and rejects reads that wait', async () => {
  const time = `3${process.pid}.8`
  const shutdown = new AbortController()
  const environment = await workspace.gitThat(`exec sleep ${time}`)
  const failures = new GitFailures(workspace.origin.url)
  const reads = new LocalReads({ failures, environment, signal: shutdown.signal })
  const ends = Promise.all(
    Array.from({ length: 10 }, () => failureOf(reads.read('/', ['rev-parse']))),
  )
  await expect.poll(() => processesWith(`sleep ${time}`)).toHaveLength(4)
  shutdown.abort()
  const messages = (await ends).map(({ message }) => message)
  expect(messages).toEqual(Array.from({ length: 10 }, () => 'the service is shutting down'))
  expect(await processesWith(`sleep ${time}`)).toEqual([])
})
