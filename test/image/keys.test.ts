import { describe, expect, test } from 'vitest'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey, layerKey, linkFarmKey, planKey, type Recipe } from '../../service/image/keys.ts'

const recipe: Recipe = { compression: 'gzip', layerBudget: 94 }
const revision = { id: 'c'.repeat(40), ref: 'refs/tags/v1' }
const key = (name: string, at = revision, by = recipe) => imageKey(at, parseImageName(name), by)

describe('an image key', () => {
  test('does not see order, repetition, or the ref that led to the commit', () => {
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
  ])('differs by %s', (_, other) => {
    expect(other).not.toBe(key('git'))
  })
})

describe('keys of layers and plans', () => {
  test('do not see the order of paths', () => {
    expect(layerKey(['/nix/store/b', '/nix/store/a'], recipe)).toBe(
      layerKey(['/nix/store/a', '/nix/store/b'], recipe),
    )
    expect(planKey(['b', 'a'], recipe)).toBe(planKey(['a', 'b'], recipe))
  })

  test('share layers, but not plans, between budgets', () => {
    const small = { ...recipe, layerBudget: 5 }
    expect(layerKey(['a'], small)).toBe(layerKey(['a'], recipe))
    expect(planKey(['a'], small)).not.toBe(planKey(['a'], recipe))
  })

  test('are never equal for different kinds of work', () => {
    expect(planKey(['a'], recipe)).not.toBe(layerKey(['a'], recipe))
  })

  test('a linkFarm is told apart by what decides its links', () => {
    const one = { name: 'a', storePath: '/nix/store/a', priority: 5, requested: true }
    const base = linkFarmKey({ packages: [one] }, recipe)
    expect(linkFarmKey({ packages: [{ ...one, priority: 4 }] }, recipe)).not.toBe(base)
    expect(linkFarmKey({ packages: [{ ...one, requested: false }] }, recipe)).not.toBe(base)
    expect(linkFarmKey({ packages: [one], env: '/nix/store/c' }, recipe)).not.toBe(base)
  })
})
