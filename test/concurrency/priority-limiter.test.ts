import { describe, expect, test } from 'vitest'
import { PriorityLimiter } from '../../service/concurrency/priority-limiter.ts'

/** Work that ends when it is told to. */
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

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe.each([1, 2, 4])('a stage of %i', (capacity) => {
  test('leaves a pull a place, however many prebuilds there are', async () => {
    const stage = new PriorityLimiter(capacity)
    const prebuilds = Array.from({ length: 20 }, work)
    for (const prebuild of prebuilds) stage.run('prebuild', prebuild.run)
    await settled()
    expect(prebuilds.filter(({ started }) => started)).toHaveLength(capacity)
    const pull = work()
    stage.run('pull', pull.run)
    await settled()
    expect(pull.started).toBe(true)
  })

  test('lets pulls that wait go before prebuilds', async () => {
    const stage = new PriorityLimiter(capacity)
    const first = Array.from({ length: capacity + 1 }, work)
    for (const pull of first) stage.run('pull', pull.run)
    const prebuild = work()
    const pull = work()
    stage.run('prebuild', prebuild.run)
    stage.run('pull', pull.run)
    await settled()
    expect([prebuild.started, pull.started]).toEqual([false, false])
    first[0]?.end()
    await settled()
    expect([prebuild.started, pull.started]).toEqual([false, true])
  })

  test('never has more at work than it has places', async () => {
    const stage = new PriorityLimiter(capacity)
    const pulls = Array.from({ length: 20 }, work)
    for (const pull of pulls) stage.run('pull', pull.run)
    await settled()
    expect(pulls.filter(({ started }) => started)).toHaveLength(capacity + 1)
  })
})
