import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { PriorityLimiter } from '../../service/concurrency/priority-limiter.ts'

/** Work that runs until the test calls `end`. */
function work() {
  const end = Promise.withResolvers<void>()
  let started = false
  return {
    run: async () => {
      started = true
      await end.promise
    },
    end: end.resolve,
    get started() {
      return started
    },
  }
}

describe.each([1, 2, 4])('PriorityLimiter of capacity %i', (capacity) => {
  test('a pull gets a slot, however many prebuilds wait or run', async () => {
    const limiter = new PriorityLimiter(capacity)
    const prebuilds = Array.from({ length: 20 }, work)
    for (const prebuild of prebuilds) limiter.run('prebuild', prebuild.run)
    await setImmediate()
    expect(prebuilds.filter(({ started }) => started)).toHaveLength(capacity)
    const pull = work()
    limiter.run('pull', pull.run)
    await setImmediate()
    expect(pull.started).toBe(true)
  })

  test('a waiting pull starts before a waiting prebuild', async () => {
    const limiter = new PriorityLimiter(capacity)
    const first = Array.from({ length: capacity + 1 }, work)
    for (const pull of first) limiter.run('pull', pull.run)
    const prebuild = work()
    const pull = work()
    limiter.run('prebuild', prebuild.run)
    limiter.run('pull', pull.run)
    await setImmediate()
    expect([prebuild.started, pull.started]).toEqual([false, false])
    first[0]?.end()
    await setImmediate()
    expect([prebuild.started, pull.started]).toEqual([false, true])
  })

  test('capacity + 1 pulls run at a time', async () => {
    const limiter = new PriorityLimiter(capacity)
    const pulls = Array.from({ length: 20 }, work)
    for (const pull of pulls) limiter.run('pull', pull.run)
    await setImmediate()
    expect(pulls.filter(({ started }) => started)).toHaveLength(capacity + 1)
  })
})
