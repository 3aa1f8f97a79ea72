import { expect, test } from 'vitest'
import { percentDecoded } from '../../service/text/percent-decoding.ts'

test.each([
  ['a%2Fb%20c', 'a/b c'],
  ['plain', 'plain'],
  ['100%', '100%'],
  ['%ff', '%ff'],
])('%s is decoded to %s', (text, expected) => {
  expect(percentDecoded(text)).toBe(expected)
})
