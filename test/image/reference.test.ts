import { describe, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseDigest, parseReference } from '../../service/image/reference.ts'

function kindOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return error instanceof Failure ? error.kind : String(error)
  }
}

describe('parseReference', () => {
  test.each(['latest', 'release-v2', 'V2', '_x', '1.0', 'a'.repeat(128), '0123abc'])(
    'tag %s is valid',
    (tag) => {
      expect(parseReference(tag)).toEqual({ kind: 'tag', tag })
    },
  )

  test.each(['.x', '-x', 'a/b', 'a b', 'ä', '', 'a'.repeat(129), 'a$b', 'a\nb'])(
    'tag %j is rejected with the rule for tags',
    (tag) => {
      expect(kindOf(() => parseReference(tag))).toBe('tag-invalid')
      expect(() => parseReference(tag)).toThrow(/a tag holds letters, digits/)
    },
  )

  test('a reference with a colon is parsed as a digest', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    expect(parseReference(digest)).toEqual({ kind: 'digest', digest })
  })
})

describe('parseDigest', () => {
  test.each([`sha256:${'a'.repeat(64)}`, `sha512:${'0'.repeat(128)}`])(
    'digest %s is valid',
    (digest) => {
      expect(parseDigest(digest)).toBe(digest)
    },
  )

  test.each([
    'sha256:abc',
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'g'.repeat(64)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'a'.repeat(64)}/x`,
    'sha256:',
    ':abc',
    'md5:d41d8cd98f00b204e9800998ecf8427e',
    'latest',
    `SHA256:${'a'.repeat(64)}`,
  ])('digest %s is rejected', (digest) => {
    expect(kindOf(() => parseDigest(digest))).toBe('digest-invalid')
  })
})
