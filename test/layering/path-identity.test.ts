import { expect, test } from 'vitest'
import { identitiesOf, identityOf, withoutNumber } from '../../service/layering/path-identity.ts'
import { storePath } from '../support/closures.ts'

test.each([
  ['hello', 'hello'],
  ['hello-2.12.1', 'hello'],
  ['glibc-2.39-52', 'glibc'],
  ['glibc-2.40-66-bin', 'glibc-bin'],
  ['python3.11-numpy-1.26.4', 'python3.11-numpy'],
  ['openjdk-17-jre-headless-17.0.19', 'openjdk-jre-headless'],
  ['curl-7.88.1-10+deb12u15', 'curl'],
  ['libssl3-3.0.20-1-deb12u2', 'libssl3'],
  ['tool-unstable-2024-01-31', 'tool-unstable'],
])('the identity of %s is %s', (name, identity) => {
  expect(identityOf(storePath(name))).toBe(identity)
})

test('equal identities in one closure are numbered in the order of full names', () => {
  const paths = ['gcc-13.2', 'zlib-1.3', 'gcc-12.1'].map(storePath)
  expect(identitiesOf(paths)).toEqual(['gcc#1', 'zlib', 'gcc'])
  expect(identitiesOf(paths).map(withoutNumber)).toEqual(['gcc', 'zlib', 'gcc'])
})
