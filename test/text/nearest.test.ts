import { expect, test } from 'vitest'
import { nearest } from '../../service/text/nearest.ts'

test.each([
  ['custom-servce', ['custom-service', 'customs', 'htop'], ['custom-service']],
  ['htpo', ['htop', 'http', 'bash'], ['htop', 'http']],
  ['MAIN', ['main', 'maint', 'other'], ['main', 'maint']],
  ['release-v2', ['release-v1', 'release-v2.0.1', 'v2'], ['release-v1', 'release-v2.0.1']],
  ['x', ['a', 'b', 'xy'], ['xy']],
  ['v9', ['v1', 'v2', 'v3', 'v4'], ['v1', 'v2', 'v3']],
  ['nothing-like-it', ['a', 'bash', 'coreutils'], []],
  ['', ['a', 'b'], []],
])('for %s, the nearest of %j are %j', (wrong, known, expected) => {
  expect(nearest(wrong, known, 3)).toEqual(expected)
})

test('the nearest of 25,000 names are found in under 1.5 s', () => {
  const known = Array.from({ length: 25_000 }, (_, i) => `release-candidate-${i}-of-a-product`)
  const start = performance.now()
  expect(nearest('release-candidate-77-of-a-prodct', known, 3)).toContain(
    'release-candidate-77-of-a-product',
  )
  expect(performance.now() - start).toBeLessThan(1500)
})
