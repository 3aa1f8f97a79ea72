import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MirrorWorkspace, tableOf } from './mirror-workspace.ts'

let workspace: MirrorWorkspace

beforeEach(async () => {
  workspace = await MirrorWorkspace.create()
})
afterEach(() => workspace[Symbol.asyncDispose]())

describe('the refs of a fetch', () => {
  test('a fetch returns branches and tags with their commits, tags peeled, and no other refs', async () => {
    const { origin } = workspace
    const first = await origin.commit({ a: '1' })
    await origin.tag('light')
    await origin.annotatedTag('annotated')
    await origin.annotatedTag('nested', 'refs/tags/annotated')
    await origin.annotatedTag('nested-twice', 'refs/tags/nested')
    await origin.annotatedTag('of-a-tree', 'HEAD^{tree}')
    await origin.annotatedTag('nested-tree', 'refs/tags/of-a-tree')
    await origin.tag('blob', 'HEAD:a')
    const second = await origin.commit({ a: '2' })
    await origin.branch('feature/login', first)
    const fork = await origin.git('commit-tree', '-p', second, '-m', 'fork', 'HEAD^{tree}')
    await origin.git('update-ref', 'refs/pull/1/head', fork)

    const mirror = workspace.mirror()
    const table = tableOf(await mirror.fetch())
    expect(Object.fromEntries(table.refs)).toEqual({
      'refs/heads/main': second,
      'refs/heads/feature/login': first,
      'refs/tags/light': first,
      'refs/tags/annotated': first,
      'refs/tags/nested': first,
      'refs/tags/nested-twice': first,
    })
    expect(table.defaultBranch).toBe('refs/heads/main')
    expect(await mirror.isReachable(first)).toBe(true)
    expect(await mirror.isReachable(second)).toBe(true)
    expect(await mirror.isReachable(fork)).toBe(false)
  })

  test('a fetch follows moved, deleted and renamed refs', async () => {
    const { origin } = workspace
    const first = await origin.commit()
    await origin.tag('v1')
    await origin.tag('v2')
    await origin.branch('feature')
    const mirror = workspace.mirror()
    await mirror.fetch()
    const second = await origin.commit()
    await origin.tag('v1')
    await origin.delete('refs/tags/v2')
    await origin.delete('refs/heads/feature')
    // `feature` was a file below refs/heads and becomes a folder.
    await origin.branch('feature/login', first)
    const table = tableOf(await mirror.fetch())
    expect(Object.fromEntries(table.refs)).toEqual({
      'refs/heads/main': second,
      'refs/heads/feature/login': first,
      'refs/tags/v1': second,
    })
  })

  test('a fetch accepts ref names that look like options', async () => {
    const { origin } = workspace
    const first = await origin.commit()
    await origin.tag('--upload-pack=x')
    await origin.branch('-d')
    const table = tableOf(await workspace.mirror().fetch())
    expect(table.refs.get('refs/tags/--upload-pack=x')).toBe(first)
    expect(table.refs.get('refs/heads/-d')).toBe(first)
  })

  test('a fetch of an empty repository returns no refs, also after a restart', async () => {
    const mirror = workspace.mirror()
    expect(tableOf(await mirror.fetch()).tags()).toEqual([])
    expect(tableOf(await workspace.mirror().open())?.tags()).toEqual([])
    const first = await workspace.origin.commit()
    expect(tableOf(await mirror.fetch()).resolve('latest')?.id).toBe(first)
  })
})

describe('the default branch', () => {
  test('the default branch follows the remote', async () => {
    const { origin } = workspace
    await origin.commit()
    await origin.branch('next')
    const mirror = workspace.mirror()
    expect(tableOf(await mirror.fetch()).defaultBranch).toBe('refs/heads/main')
    await origin.git('symbolic-ref', 'HEAD', 'refs/heads/next')
    expect(tableOf(await mirror.fetch()).defaultBranch).toBe('refs/heads/next')
    expect(tableOf(await workspace.mirror().open())?.defaultBranch).toBe('refs/heads/next')
  })

  test('a remote with a detached HEAD has no default branch', async () => {
    const { origin } = workspace
    const first = await origin.commit()
    const mirror = workspace.mirror()
    await mirror.fetch()
    await origin.git('checkout', '--quiet', '--detach')
    const table = tableOf(await mirror.fetch())
    expect(table.defaultBranch).toBeUndefined()
    expect(table.resolve('main')?.id).toBe(first)
    expect(tableOf(await workspace.mirror().open())?.defaultBranch).toBeUndefined()
    expect(await mirror.isReachable(first)).toBe(true)
  })

  test('a branch whose name ends in HEAD is not taken for the HEAD of the remote', async () => {
    const { origin } = workspace
    await origin.commit()
    await origin.git('symbolic-ref', 'refs/heads/x/HEAD', 'refs/heads/main')
    await origin.git('checkout', '--quiet', '--detach')
    expect(tableOf(await workspace.mirror().fetch()).defaultBranch).toBeUndefined()
  })
})

describe('the dates of refs', () => {
  /** Milliseconds of the nth commit that GitRepositoryBuilder makes, and of tags made after it. */
  const dateOf = (commit: number) => Date.UTC(2024, 0, 1, 0, 0, commit)

  test('a ref has the date of its annotated tag, else of its commit', async () => {
    const { origin } = workspace
    await origin.commit()
    await origin.tag('light')
    await origin.annotatedTag('first')
    await origin.commit()
    await origin.annotatedTag('second', 'refs/tags/light')
    const mirror = workspace.mirror()
    await mirror.fetch()
    expect(Object.fromEntries(await mirror.refDates())).toEqual({
      'refs/heads/main': dateOf(2),
      'refs/tags/light': dateOf(1),
      'refs/tags/first': dateOf(1),
      'refs/tags/second': dateOf(2),
    })
  })

  test('dates that are requested after a fetch contain the refs of that fetch', async () => {
    await workspace.origin.commit()
    const mirror = workspace.mirror()
    await mirror.fetch()
    const before = mirror.refDates()
    await workspace.origin.tag('v1')
    await mirror.fetch()
    expect((await mirror.refDates()).has('refs/tags/v1')).toBe(true)
    expect((await before).has('refs/heads/main')).toBe(true)
  })
})
