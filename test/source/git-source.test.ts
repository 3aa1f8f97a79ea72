import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { GitMirror } from '../../service/adapters/git/mirror.ts'
import { ProcessGroups } from '../../service/adapters/process/process-groups.ts'
import { GitSource, type GitSourceOptions } from '../../service/source/git-source.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import { FakeGit } from '../support/fake-git.ts'
import { GitRepositoryBuilder } from '../support/git-repository.ts'
import { RecordingLog } from '../support/recording-log.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

let log: RecordingLog
let source: GitSource

function table(refs: Record<string, string>): RefTable {
  return new RefTable(Object.entries(refs), 'refs/heads/main')
}

beforeEach(() => {
  log = new RecordingLog()
})
afterEach(() => source?.stop())

describe('with a fake repository', () => {
  let git: FakeGit

  beforeEach(() => {
    git = new FakeGit()
    git.remote = table({ 'refs/heads/main': A, 'refs/tags/v1': A })
  })

  async function started(options: Partial<GitSourceOptions> = {}): Promise<GitSource> {
    source = new GitSource({
      repository: git,
      log,
      pollInterval: 0,
      unknownTagInterval: 0,
      ...options,
    })
    await source.start()
    return source
  }

  describe('start', () => {
    test('start without a mirror waits for the first fetch and fails with it', async () => {
      git.down = true
      await expect(started()).rejects.toThrow('no route')
      expect(source.status()).toEqual({
        ready: false,
        failure: expect.stringContaining('no route'),
      })
      expect(log.lines).toEqual([])
    })

    test('start with a mirror serves its refs at once and fetches in the background', async () => {
      git.stored = table({ 'refs/tags/old': A })
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      await started()
      expect(source.status()).toEqual({ ready: true })
      expect(await source.resolve('old')).toEqual({ id: A, ref: 'refs/tags/old' })
      gate.resolve()
      await vi.waitFor(() => expect(source.tags()).toEqual(['latest', 'main', 'v1']))
      expect(source.status().refreshedAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
    })

    test('start with a mirror succeeds while the remote is down', async () => {
      git.stored = table({ 'refs/tags/old': A })
      git.down = true
      await started()
      await expect(source.refresh()).rejects.toThrow('no route')
      expect((await source.resolve('old')).id).toBe(A)
      expect(source.status()).toMatchObject({ ready: true, failure: expect.any(String) })
    })
  })

  describe('refresh', () => {
    test('a failed fetch keeps the refs; an outage and its end are logged once each', async () => {
      await started()
      const before = source.status().refreshedAt
      git.down = true
      for (let i = 0; i < 3; i++) await expect(source.refresh()).rejects.toThrow('no route')
      expect((await source.resolve('v1')).id).toBe(A)
      expect(source.status()).toMatchObject({ ready: true, refreshedAt: before })
      expect(source.status().failure).toContain('no route')
      git.down = false
      await source.refresh()
      await source.refresh()
      expect(source.status().failure).toBeUndefined()
      expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
        'warn git cannot be fetched; the refs of the last fetch are still served',
        'info git can be fetched again',
      ])
    })

    test('the timer fetches every poll interval', async () => {
      await started({ pollInterval: 0.01 })
      await vi.waitFor(() => expect(git.fetches).toBeGreaterThan(3))
    })

    test('onRefs is called for each ref table that differs from the one before it', async () => {
      const received: (readonly string[])[] = []
      await started({ onRefs: () => received.push([...source.tags()]) })
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/v1': A })
      await source.refresh()
      await source.refresh()
      git.remote = table({ 'refs/heads/main': A })
      await source.refresh()
      expect(received).toEqual([
        ['latest', 'main', 'v1'],
        ['latest', 'main'],
      ])
    })
  })

  describe('resolve', () => {
    test('50 pulls of a new tag cost one fetch and find the tag', async () => {
      await started({ unknownTagInterval: 2000 })
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      const pulls = Array.from({ length: 50 }, () => source.resolve('new'))
      for (const revision of await Promise.all(pulls)) {
        expect(revision).toEqual({ id: B, ref: 'refs/tags/new' })
      }
      expect(git.fetches).toBe(2)
    })

    test('a new tag is found by a running fetch that brings it', async () => {
      await started({ unknownTagInterval: 60_000 })
      await source.resolve('x1').catch(() => {})
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      source.refresh().catch(() => {})
      const found = source.resolve('new')
      gate.resolve()
      expect((await found).id).toBe(B)
      expect(git.fetches).toBe(3)
    })

    test('an unknown tag answers 404 with the nearest names, and 503 if git cannot be fetched', async () => {
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/release-v1': A, 'refs/tags/z': A })
      await started()
      await expect(source.resolve('release-v2')).rejects.toMatchObject({
        kind: 'manifest-unknown',
        message: expect.stringMatching(/"release-v2".*nearest: release-v1$/),
        detail: { tag: 'release-v2', nearest: ['release-v1'] },
      })
      git.down = true
      await expect(source.resolve('release-v2')).rejects.toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('no route'),
        retryAfter: expect.any(Number),
      })
    })

    test('latest without a default branch is unknown, and the failure says why', async () => {
      git.remote = new RefTable([['refs/heads/main', A]])
      await started()
      await expect(source.resolve('latest')).rejects.toThrow('no default branch')
    })

    test('stop fails a pull that waits for an unknown tag', async () => {
      await started()
      const waiting = source.resolve('x')
      source.stop()
      await expect(waiting).rejects.toMatchObject({ kind: 'unavailable' })
    })

    test('a known tag never waits for a fetch', async () => {
      await started()
      git.gate = new Promise(() => {})
      void source.refresh()
      source.resolve('unknown').catch(() => {})
      expect((await source.resolve('v1')).id).toBe(A)
      expect((await source.resolve('latest')).id).toBe(A)
    })
  })

  describe('commit ids', () => {
    test('a full commit id goes before a tag of that name if reachable, else the tag is resolved', async () => {
      git.remote = table({ 'refs/heads/main': A, [`refs/tags/${B}`]: A })
      await started()
      expect(await source.resolve(B)).toEqual({ id: A, ref: `refs/tags/${B}` })
      git.reachable.add(B)
      git.remote = table({ 'refs/heads/main': B, [`refs/tags/${B}`]: A })
      await source.refresh()
      expect(await source.resolve(B)).toEqual({ id: B })
      expect(await source.resolve(B.toUpperCase())).toEqual({ id: B })
    })

    test('git is asked about a commit once, and again when the refs have changed', async () => {
      await started()
      git.reachable.add(B)
      await Promise.all(Array.from({ length: 10 }, () => source.resolve(B)))
      await source.refresh()
      await source.resolve(B)
      expect(git.reachabilityQuestions).toBe(1)
      git.remote = table({ 'refs/heads/main': B })
      git.reachable.delete(B)
      await source.refresh()
      await expect(source.resolve(B)).rejects.toMatchObject({ kind: 'manifest-unknown' })
    })

    test('an abbreviated commit id is resolved after all names and must be unique', async () => {
      const twins = [`abcdef0${'1'.repeat(33)}`, `abcdef0${'2'.repeat(33)}`]
      for (const twin of twins) git.reachable.add(twin)
      git.remote = table({ 'refs/heads/main': A, 'refs/heads/abcdef02': A })
      await started()
      expect(await source.resolve('ABCDEF01')).toEqual({ id: twins[0] })
      expect(await source.resolve('abcdef02')).toEqual({ id: A, ref: 'refs/heads/abcdef02' })
      await expect(source.resolve('abcdef0')).rejects.toMatchObject({
        kind: 'manifest-unknown',
        message: expect.stringContaining(twins.join(', ')),
      })
      await expect(source.resolve('abcdef')).rejects.toMatchObject({ kind: 'manifest-unknown' })
    })
  })
})

describe('with a real repository', () => {
  let state: string
  let origin: GitRepositoryBuilder
  const groups: ProcessGroups[] = []

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'slipway-source-'))
    origin = await GitRepositoryBuilder.create()
  })

  afterEach(async () => {
    await Promise.all(groups.splice(0).map((group) => group.killAll()))
    await origin.remove()
    await rm(state, { recursive: true, force: true })
  })

  async function started(): Promise<GitSource> {
    const group = new ProcessGroups()
    groups.push(group)
    const environment = { PATH: process.env.PATH, HOME: state }
    const folder = join(state, 'mirror')
    const repository = new GitMirror({ url: origin.url, folder, groups: group, log, environment })
    source = new GitSource({ repository, log, pollInterval: 0, unknownTagInterval: 0 })
    await source.start()
    return source
  }

  test('a pushed tag is found, a moved tag is followed, a deleted tag is unknown', async () => {
    const first = await origin.commit({ version: '1' })
    await origin.annotatedTag('v1')
    await started()
    expect(await source.resolve('v1')).toEqual({ id: first, ref: 'refs/tags/v1' })

    const second = await origin.commit({ version: '2' })
    await origin.annotatedTag('v2')
    expect((await source.resolve('v2')).id).toBe(second)
    await origin.annotatedTag('v1')
    await source.refresh()
    expect((await source.resolve('v1')).id).toBe(second)
    await origin.delete('refs/tags/v1')
    await source.refresh()
    await expect(source.resolve('v1')).rejects.toThrow('nearest: v2')
  })

  test('a commit is found by its full and abbreviated id until a force-push removes it', async () => {
    const base = await origin.commit()
    const old = await origin.commit()
    await started()
    expect(await source.resolve(old)).toEqual({ id: old })
    expect(await source.resolve(old.slice(0, 8))).toEqual({ id: old })
    await origin.branch('main', base)
    await source.refresh()
    for (const tag of [old, old.slice(0, 8)]) {
      await expect(source.resolve(tag)).rejects.toMatchObject({ kind: 'manifest-unknown' })
    }
    expect((await source.resolve('latest')).id).toBe(base)
  })

  test('a commit that only a pull request has is not found', async () => {
    await origin.commit()
    const fork = await origin.git('commit-tree', '-m', 'fork', 'HEAD^{tree}')
    await origin.git('update-ref', 'refs/pull/7/head', fork)
    await started()
    for (const tag of [fork, fork.slice(0, 8), 'refs/pull/7/head']) {
      await expect(source.resolve(tag)).rejects.toMatchObject({ kind: 'manifest-unknown' })
    }
  })

  test('a tag that git would take for a revision expression or an option is an unknown tag', async () => {
    await origin.commit()
    await origin.commit()
    await origin.tag('v1')
    await started()
    for (const tag of [
      'HEAD',
      'HEAD~1',
      'v1^{tree}',
      '--upload-pack=touch x',
      '-c',
      '@{0}',
      ':/commit',
    ]) {
      await expect(source.resolve(tag), tag).rejects.toMatchObject({ kind: 'manifest-unknown' })
    }
  })

  test('a restart without the remote serves and exports the fetched commits', async () => {
    const first = await origin.commit({ 'default.nix': '{ }' })
    await origin.branch('feature/login')
    await (await started()).refresh()
    source.stop()
    await origin.remove()
    await started()
    const revision = await source.resolve('feature-login')
    expect(revision).toEqual({ id: first, ref: 'refs/heads/feature/login' })
    const folder = await mkdtemp(join(state, 'export-'))
    await source.export(revision, folder)
    expect(await readFile(join(folder, 'default.nix'), 'utf8')).toBe('{ }')
    await expect(source.resolve('v9')).rejects.toMatchObject({ kind: 'unavailable' })
  })

  test('an empty repository has no tags until a branch is pushed', async () => {
    await started()
    expect(source.tags()).toEqual([])
    await expect(source.resolve('latest')).rejects.toMatchObject({ kind: 'manifest-unknown' })
    const first = await origin.commit()
    expect((await source.resolve('latest')).id).toBe(first)
  })
})
