import { CRC32C } from '@google-cloud/storage'
import { expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'

// RFC 3720, appendix B.4, whose values are in the order of the bytes; and the check value of catalogues.
test.each([
  [Buffer.alloc(32), 0x8a9136aa],
  [Buffer.alloc(32, 0xff), 0x62a8ab43],
  [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  [Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
  [Buffer.from('123456789'), 0xe3069283],
  [Buffer.alloc(0), 0],
])('of %o', (bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected)
})

test('does not depend on where bytes lie in memory, how many they are, or how they are cut', () => {
  const memory = Buffer.from(Array.from({ length: 100 }, (_, index) => (index * 167) & 255))
  for (let start = 0; start < 20; start++) {
    for (let end = start; end <= memory.length; end += 3) {
      const bytes = memory.subarray(start, end)
      const theirs = new CRC32C()
      theirs.update(bytes)
      const cut = Math.floor(bytes.length / 3)
      expect(crc32c(bytes)).toBe(theirs.valueOf() >>> 0)
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(crc32c(bytes))
    }
  }
})
