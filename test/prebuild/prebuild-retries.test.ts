import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import type { Prebuild } from '../../service/prebuild/prebuild.ts'
import { PrebuildRetries } from '../../service/prebuild/prebuild-retries.ts'

const image: Prebuild = {
  imageKey: 'key',
  name: parseImageName('hello'),
  revision: { id: 'c1' } as Prebuild['revision'],
}

let again: Prebuild[]
let retries: PrebuildRetries

beforeEach(() => {
  vi.useFakeTimers()
  again = []
  retries = new PrebuildRetries([10, 20], (image) => again.push(image))
})
afterEach(() => {
  vi.useRealTimers()
})

test('each further attempt comes later; after the last it begins anew, much later', () => {
  for (const [attempt, delay] of [10, 20, 600_000, 10].entries()) {
    expect(retries.later(image)).toBe((attempt % 3) + 1)
    vi.advanceTimersByTime(delay - 1)
    expect(again).toHaveLength(attempt)
    vi.advanceTimersByTime(1)
    expect(again).toHaveLength(attempt + 1)
  }
})

test('what has been built meanwhile is not tried again', () => {
  retries.later(image)
  retries.broken(image)
  retries.forget(image)
  vi.advanceTimersByTime(1_000_000)
  expect([again, retries.takeAll()]).toEqual([[], []])
  expect(retries.later(image)).toBe(1)
})

test('all that failed is given once, also what does not build', () => {
  const broken = { ...image, imageKey: 'broken' }
  retries.later(image)
  retries.broken(broken)
  expect(retries.takeAll()).toEqual([broken, image])
  vi.advanceTimersByTime(1_000_000)
  expect([again, retries.takeAll()]).toEqual([[], []])
})

test('what is not wanted any more is forgotten', () => {
  const broken = { ...image, imageKey: 'broken' }
  retries.later(image)
  retries.broken(broken)
  retries.drop(() => true)
  retries.drop(({ imageKey }) => imageKey === 'broken')
  expect(retries.takeAll()).toEqual([broken])
})

test('nothing is tried again after the end', () => {
  retries.later(image)
  retries.stop()
  retries.later({ ...image, imageKey: 'late' })
  vi.advanceTimersByTime(1_000_000)
  expect(again).toEqual([])
})
