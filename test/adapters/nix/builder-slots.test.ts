import { expect, test } from 'vitest'
import { BuilderSlots } from '../../../service/adapters/nix/builder-slots.ts'
import type { Cause } from '../../../service/build/ports.ts'

/** Starts work that keeps its builders until `end` is called. */
function start(slots: BuilderSlots, cause: Cause) {
  const ended = Promise.withResolvers<void>()
  const work = { builders: 0, end: ended.resolve }
  void slots.run(cause, (builders) => {
    work.builders = builders
    return ended.promise
  })
  return work
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('prebuilds that use all their builders leave one for a pull', async () => {
  const slots = new BuilderSlots(1)
  const [first, second] = [start(slots, 'prebuild'), start(slots, 'prebuild')]
  const pull = start(slots, 'pull')
  await turn()
  expect([first.builders, second.builders, pull.builders]).toEqual([1, 0, 1])
  first.end()
  await turn()
  expect(second.builders).toBe(0)
  pull.end()
  await turn()
  expect(second.builders).toBe(1)
})

test('each work gets half of the builders that are free for it', async () => {
  const slots = new BuilderSlots(8)
  const works = [start(slots, 'prebuild'), start(slots, 'pull'), start(slots, 'pull')]
  await turn()
  expect(works.map(({ builders }) => builders)).toEqual([4, 3, 1])
})

test('the builders of failed work are free again', async () => {
  const slots = new BuilderSlots(1)
  const failing = slots.run('pull', async () => {
    throw new Error('broken')
  })
  await expect(failing).rejects.toThrow('broken')
  const next = start(slots, 'prebuild')
  await turn()
  expect(next.builders).toBe(1)
})
