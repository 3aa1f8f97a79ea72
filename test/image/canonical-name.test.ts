import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalName } from '../../service/image/canonical-name.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey } from '../../service/image/keys.ts'

const canonical = (text: string) => canonicalName(parseImageName(text))

test.each([
  ['jq/git/jq', 'git/jq'],
  ['git/shell', 'shell/git'],
  ['shell/nano/coreutils', 'shell'],
  ['coreutils/nano', 'coreutils/nano'],
  ['git/arm64/shell', 'arm64/shell/git'],
])('%s is written %s', (text, expected) => {
  expect(canonical(text)).toBe(expected)
})

const component = fc.constantFrom('shell', 'arm64', 'git', 'jq', 'nano', 'coreutils', 'a.b')
const name = fc
  .array(component, { minLength: 1, maxLength: 6 })
  .map((components) => components.join('/'))
  .filter((text) => !/^arm64(\/arm64)*$/.test(text))

test('it names the same image, and is its own canonical name', () => {
  fc.assert(
    fc.property(name, (text) => {
      const { text: _, ...image } = parseImageName(text)
      const written = canonical(text)
      expect(parseImageName(written)).toEqual({ text: written, ...image })
      expect(canonical(written)).toBe(written)
    }),
  )
})

test('it is equal for names with the same image key alone', () => {
  const keyOf = (text: string) =>
    imageKey({ id: 'c' }, parseImageName(text), { compression: 'gzip', layerBudget: 94 })
  fc.assert(
    fc.property(name, name, (one, other) => {
      expect(canonical(one) === canonical(other)).toBe(keyOf(one) === keyOf(other))
    }),
  )
})
