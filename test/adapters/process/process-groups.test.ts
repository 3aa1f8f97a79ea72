import { expect, test } from 'vitest'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import { processesWith } from '../../support/processes.ts'

const env = { PATH: process.env.PATH ?? '/usr/bin:/bin' }

test('killAll ends all programs, and none can be started afterwards', async () => {
  const groups = new ProcessGroups()
  const times = [1, 2, 3].map((index) => `3${process.pid}.${index}`)
  const started = Promise.withResolvers<void>()
  const runs = times.map((time) =>
    groups.run('sh', ['-c', `echo started >&2; sleep ${time}`], {
      env,
      onStderrLine: () => started.resolve(),
    }),
  )
  const ends = Promise.allSettled(runs)
  await started.promise
  await groups.killAll()
  expect((await ends).map((end) => end.status)).toEqual(['rejected', 'rejected', 'rejected'])
  for (const time of times) expect(await processesWith(`sleep ${time}`)).toEqual([])
  await expect(groups.run('true', [], { env })).rejects.toThrow('the service is shutting down')
})

test('killAll also stops a program that is about to start', async () => {
  const groups = new ProcessGroups()
  const run = groups.run('sleep', ['60'], { env })
  const rejected = expect(run).rejects.toThrow('the service is shutting down')
  await groups.killAll()
  await rejected
})

test('the signal of a run ends that run alone', async () => {
  const groups = new ProcessGroups()
  const signal = AbortSignal.timeout(100)
  await expect(groups.run('sleep', ['60'], { env, signal })).rejects.toThrow()
  expect((await groups.run('true', [], { env })).exitCode).toBe(0)
})
