import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GitMirror } from '../../service/adapters/git/mirror.ts'
import { ProcessGroups } from '../../service/adapters/process/process-groups.ts'
import { GitSource, type GitSourceOptions } from '../../service/source/git-source.ts'
import { RefTable } from '../../service/source/ref-table.ts'
import type { Log } from '../../service/telemetry/ports.ts'
import { FakeGit } from '../support/fake-git.ts'
import { GitRepositoryBuilder } from '../support/git-repository.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

let logged: string[]
let source: GitSource
const note =
  (level: string) =>
  (_: object, message: string): void => {
    logged.push(`${level} ${message}`)
  }
const log: Log = { debug: () => {}, info: note('info'), warn: note('warn'), error: note('error') }

function table(refs: Record<string, string>): RefTable {
  return new RefTable(Object.entries(refs), 'refs/heads/main')
}

beforeEach(() => {
  logged = []
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

  describe('starting', () => {
    test('without a mirror waits for the first fetch, and fails with it', async () => {
      git.down = true
      await expect(started()).rejects.toThrow('no route')
      expect(source.status()).toEqual({
        ready: false,
        failure: expect.stringContaining('no route'),
      })
      expect(logged).toEqual([])
    })

    test('with a mirror serves it at once, while the first fetch runs', async () => {
      git.stored = table({ 'refs/tags/old': A })
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      await started()
      expect(source.status()).toEqual({ ready: true })
      expect(await source.resolve('old')).toEqual({ id: A, ref: 'refs/tags/old' })
      gate.resolve()
      await source.refresh()
      expect(source.tags()).toEqual(['latest', 'main', 'v1'])
      expect(source.status().refreshedAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
    })

    test('with a mirror and a remote that is down serves the mirror', async () => {
      git.stored = table({ 'refs/tags/old': A })
      git.down = true
      await started()
      await expect(source.refresh()).rejects.toThrow('no route')
      expect((await source.resolve('old')).id).toBe(A)
      expect(source.status()).toMatchObject({ ready: true, failure: expect.any(String) })
    })
  })

  describe('refreshing', () => {
    test('runs one fetch and lets one wait, however many ask', async () => {
      await started()
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      const first = source.refresh()
      const waiting = Array.from({ length: 20 }, () => source.refresh())
      git.remote = table({ 'refs/heads/main': B })
      gate.resolve()
      await first
      expect(source.tags()).toContain('v1')
      await Promise.all(waiting)
      expect(source.tags()).toEqual(['latest', 'main'])
      expect([git.fetches, git.mostRunning]).toEqual([3, 1])
    })

    test('that fails keeps the table, and is logged once, as is that it works again', async () => {
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
      expect(logged).toEqual([
        'warn git cannot be fetched; the refs that were fetched last stay in force',
        'info git can be fetched again',
      ])
    })

    test('tells of each table that differs', async () => {
      const told: [string[], string[] | undefined][] = []
      await started({
        onRefs: (now, previous) => told.push([[...now.tags()], previous && [...previous.tags()]]),
      })
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/v1': A })
      await source.refresh()
      git.remote = table({ 'refs/heads/main': A })
      await source.refresh()
      expect(told).toEqual([
        [['latest', 'main', 'v1'], undefined],
        [
          ['latest', 'main'],
          ['latest', 'main', 'v1'],
        ],
      ])
    })

    test('happens by a timer, without overlapping, until stopped', async () => {
      await started({ pollInterval: 0.02 })
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      await delay(150)
      expect(git.fetches).toBeLessThanOrEqual(2)
      gate.resolve()
      await delay(200)
      expect(git.fetches).toBeGreaterThan(3)
      expect(git.mostRunning).toBe(1)
      source.stop()
      const { fetches } = git
      await delay(60)
      expect(git.fetches).toBe(fetches)
      await expect(source.refresh()).rejects.toThrow('shutting down')
    })
  })

  describe('an unknown tag', () => {
    test('that many ask for at once costs one fetch', async () => {
      await started({ unknownTagInterval: 2000 })
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      const asked = Array.from({ length: 50 }, () => source.resolve('new'))
      for (const revision of await Promise.all(asked)) {
        expect(revision).toEqual({ id: B, ref: 'refs/tags/new' })
      }
      expect(git.fetches).toBe(2)
    })

    test('is looked for again only in a fetch that starts after it was asked for', async () => {
      await started()
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      const running = source.refresh()
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      const found = source.resolve('new')
      gate.resolve()
      await running
      expect((await found).id).toBe(B)
      expect(git.fetches).toBe(3)
    })

    test('that a running fetch brings needs no other', async () => {
      await started({ unknownTagInterval: 60_000 })
      await source.resolve('x1').catch(() => {})
      const gate = Promise.withResolvers<void>()
      git.gate = gate.promise
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      source.refresh().catch(() => {})
      const found = source.resolve('new')
      await delay(5)
      gate.resolve()
      expect((await found).id).toBe(B)
    })

    test('costs at most one fetch in the interval', async () => {
      await started({ unknownTagInterval: 400 })
      const start = performance.now()
      await expect(source.resolve('x1')).rejects.toMatchObject({ kind: 'manifest-unknown' })
      const asked = [source.resolve('x2'), delay(100).then(() => source.resolve('x3'))]
      await Promise.allSettled(asked)
      expect(git.fetches).toBe(3)
      expect(performance.now() - start).toBeGreaterThan(390)
    })

    test('is served by a fetch that something else starts meanwhile', async () => {
      await started({ unknownTagInterval: 60_000 })
      await source.resolve('x1').catch(() => {})
      const found = source.resolve('new')
      await delay(10)
      git.remote = table({ 'refs/heads/main': A, 'refs/tags/new': B })
      await source.refresh()
      expect((await found).id).toBe(B)
    })

    test('is 404 with the nearest names, but 503 when git cannot be asked', async () => {
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

    test('says why there is no latest', async () => {
      git.remote = new RefTable([['refs/heads/main', A]])
      await started()
      await expect(source.resolve('latest')).rejects.toThrow('no default branch')
    })

    test('does not outlive the service', async () => {
      await started({ unknownTagInterval: 60_000 })
      await source.resolve('x1').catch(() => {})
      const waiting = source.resolve('x2')
      await delay(5)
      source.stop()
      await expect(waiting).rejects.toMatchObject({ kind: 'unavailable' })
    })
  })

  test('a known tag never waits for a fetch', async () => {
    await started()
    git.gate = new Promise(() => {})
    void source.refresh()
    source.resolve('unknown').catch(() => {})
    expect((await source.resolve('v1')).id).toBe(A)
    expect((await source.resolve('latest')).id).toBe(A)
  })

  describe('commit ids', () => {
    test('in full go before a tag of that name if reachable, else the tag is meant', async () => {
      git.remote = table({ 'refs/heads/main': A, [`refs/tags/${B}`]: A })
      await started()
      expect(await source.resolve(B)).toEqual({ id: A, ref: `refs/tags/${B}` })
      git.reachable.add(B)
      git.remote = table({ 'refs/heads/main': B, [`refs/tags/${B}`]: A })
      await source.refresh()
      expect(await source.resolve(B)).toEqual({ id: B })
      expect(await source.resolve(B.toUpperCase())).toEqual({ id: B })
    })

    test('are asked about once while the table stays the same', async () => {
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

    test('that are abbreviated come last and must be unique', async () => {
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

  test('a tag that is pushed is found, one that is moved follows, one that is deleted is gone', async () => {
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

  test('a commit is found in full and abbreviated, until a force-push takes it away', async () => {
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

  test('a commit of a pull request is not found', async () => {
    await origin.commit()
    const fork = await origin.git('commit-tree', '-m', 'fork', 'HEAD^{tree}')
    await origin.git('update-ref', 'refs/pull/7/head', fork)
    await started()
    for (const tag of [fork, fork.slice(0, 8), 'refs/pull/7/head']) {
      await expect(source.resolve(tag)).rejects.toMatchObject({ kind: 'manifest-unknown' })
    }
  })

  test('what is a revision or an option to git is data', async () => {
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

  test('a restart without the remote serves and exports what was fetched', async () => {
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

  test('an empty repository has no tags, until something is pushed', async () => {
    await started()
    expect(source.tags()).toEqual([])
    await expect(source.resolve('latest')).rejects.toMatchObject({ kind: 'manifest-unknown' })
    const first = await origin.commit()
    expect((await source.resolve('latest')).id).toBe(first)
  })
})
