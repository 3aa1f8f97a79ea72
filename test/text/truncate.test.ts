import { expect, test } from 'vitest'
import { truncate } from '../../service/text/truncate.ts'

test.each([
  ['', 3, ''],
  ['abc', 3, 'abc'],
  ['abcd', 3, 'abc…'],
])('truncate("%s", %i) is "%s"', (text, max, expected) => {
  expect(truncate(text, max)).toBe(expected)
})
