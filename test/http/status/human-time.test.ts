import { expect, test } from 'vitest'
import { ago, duration } from '../../../service/http/status/human-time.ts'

const minute = 60_000
const hour = 60 * minute

test.each([
  [-5, '0 ms'],
  [0, '0 ms'],
  [999, '999 ms'],
  [1000, '1.0 s'],
  [9949, '9.9 s'],
  [9960, '10 s'],
  [59_600, '1 min'],
  [125_000, '2 min 5 s'],
  [hour, '1 h'],
  [hour + 12 * minute, '1 h 12 min'],
])('duration(%i) is %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text)
})

test.each([
  [-3000, 'just now'],
  [4999, 'just now'],
  [40_000, '40 s ago'],
  [3 * minute, '3 min ago'],
  [5 * hour, '5 h ago'],
  [47 * hour, '47 h ago'],
  [49 * hour, '2 days ago'],
])('ago(%i) is %s', (milliseconds, text) => {
  expect(ago(milliseconds)).toBe(text)
})
