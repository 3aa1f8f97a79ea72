import { describe, expect, test } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey, layerKey, linkFarmKey, planKey, type Recipe } from '../../service/image/keys.ts'
import type { LinkFarmPackage } from '../../service/image/link-farm.ts'

const recipe: Recipe = { compression: 'gzip', layerBudget: 94 }
const revision = { id: 'c'.repeat(40), ref: 'refs/tags/v1' }
const key = (name: string, at = revision, by = recipe) => imageKey(at, parseImageName(name), by)
const onePackage: LinkFarmPackage = {
  name: 'a',
  storePath: '/nix/store/a',
  priority: 5,
  isRequested: true,
}

describe('image key', () => {
  test('an image key ignores order, repetition, and the ref that led to the commit', () => {
    expect(key('jq/git/jq')).toBe(key('git/jq'))
    expect(key('git', { ...revision, ref: 'refs/heads/main' })).toBe(key('git'))
  })

  test.each([
    ['packages', key('git/jq')],
    ['the platform', key('git/arm64')],
    ['shell', key('git/shell')],
    ['the revision', key('git', { ...revision, id: 'd'.repeat(40) })],
    ['the compression', key('git', revision, { ...recipe, compression: 'zstd' })],
    ['the layer budget', key('git', revision, { ...recipe, layerBudget: 10 })],
  ])('an image key changes with %s', (_, other) => {
    expect(other).not.toBe(key('git'))
  })
})

describe('layer, plan and link farm keys', () => {
  test('layer and plan keys ignore the order of store paths', () => {
    expect(layerKey(['/nix/store/b', '/nix/store/a'], recipe)).toBe(
      layerKey(['/nix/store/a', '/nix/store/b'], recipe),
    )
    expect(planKey(['b', 'a'], recipe)).toBe(planKey(['a', 'b'], recipe))
  })

  test('a plan key changes with the layer budget, a layer key does not', () => {
    const small = { ...recipe, layerBudget: 5 }
    expect(layerKey(['a'], small)).toBe(layerKey(['a'], recipe))
    expect(planKey(['a'], small)).not.toBe(planKey(['a'], recipe))
  })

  test('the plan key and the layer key of the same paths differ', () => {
    expect(planKey(['a'], recipe)).not.toBe(layerKey(['a'], recipe))
  })

  test.each([
    ['the priority of a package', { packages: [{ ...onePackage, priority: 4 }] }],
    ['whether a package is requested', { packages: [{ ...onePackage, isRequested: false }] }],
    ['the target of /usr/bin/env', { packages: [onePackage], env: '/nix/store/c' }],
  ])('a link farm key changes with %s', (_, linkFarm) => {
    expect(linkFarmKey(linkFarm, recipe)).not.toBe(linkFarmKey({ packages: [onePackage] }, recipe))
  })
})

// A changed key orphans every record that was stored under the old one.
test.each([
  ['image', key('shell/git'), 'f96f7345f4e2a9b6234419240a945656b3cff6bf6bb35cd7ed226a5a28f454b8'],
  [
    'plan',
    planKey(['/nix/store/a', '/nix/store/b'], recipe),
    '010b9c5839b27c225913fc9ea51ea02ad36f5f0e1749e7d4fba63c6e98c9a37d',
  ],
  [
    'layer',
    layerKey(['/nix/store/a', '/nix/store/b'], recipe),
    '6bbf55357f5eedb7abf82439a68e29827de85ef85af3ec8c789e833bd70021c0',
  ],
  [
    'link farm',
    linkFarmKey({ packages: [onePackage], env: '/nix/store/c' }, recipe),
    'ab7e0981613261e0b12b7ca1ddc0e8bb971c1f9fdc1ef0c65313d50d80038356',
  ],
])('the %s key of packing version 1 never changes', (_, found, stored) => {
  expect(found).toBe(stored)
})
