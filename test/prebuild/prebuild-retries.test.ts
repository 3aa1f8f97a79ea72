import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Prebuild } from '../../service/prebuild/desired-images.ts'
import { PrebuildRetries } from '../../service/prebuild/prebuild-retries.ts'
import { prebuildOf } from '../support/prebuild-bench.ts'

const longTime = 3_600_000
const image = prebuildOf('a', 1)
const broken = prebuildOf('b', 1)

let due: Prebuild[]
let retries: PrebuildRetries

beforeEach(() => {
  vi.useFakeTimers()
  due = []
  retries = new PrebuildRetries((image) => due.push(image))
})
afterEach(() => {
  vi.useRealTimers()
})

test('each retry comes later than the one before; the schedule starts over after ten minutes', () => {
  for (const [attempt, delay] of [5000, 20_000, 60_000, 600_000, 5000].entries()) {
    expect(retries.schedule(image)).toBe((attempt % 4) + 1)
    vi.advanceTimersByTime(delay - 1)
    expect(due).toHaveLength(attempt)
    vi.advanceTimersByTime(1)
    expect(due).toHaveLength(attempt + 1)
  }
})

test('an image that has been built is not tried again, and its attempts are forgotten', () => {
  retries.schedule(image)
  retries.addBroken(image)
  retries.forget(image)
  vi.advanceTimersByTime(longTime)
  expect([due, retries.takeAll()]).toEqual([[], []])
  expect(retries.schedule(image)).toBe(1)
})

test('takeAll returns each failed image once, the broken ones first', () => {
  retries.schedule(image)
  retries.addBroken(broken)
  expect(retries.takeAll()).toEqual([broken, image])
  vi.advanceTimersByTime(longTime)
  expect([due, retries.takeAll()]).toEqual([[], []])
})

test('drop removes the images that are not wanted and keeps the others', () => {
  retries.schedule(image)
  retries.addBroken(broken)
  retries.drop(() => true)
  retries.drop(({ imageKey }) => imageKey === broken.imageKey)
  expect(retries.takeAll()).toEqual([broken])
})

test('no image is tried again after stop', () => {
  retries.schedule(image)
  retries.stop()
  retries.schedule(broken)
  vi.advanceTimersByTime(longTime)
  expect(due).toEqual([])
})
