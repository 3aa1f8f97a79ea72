import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { EvaluatedPackage } from '../../service/closure/package.ts'
import { PriorityLimiter } from '../../service/concurrency/priority-limiter.ts'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { FailedPrebuilds } from '../../service/prebuild/failed-prebuilds.ts'
import { Prebuilds, type PrebuildsOptions } from '../../service/prebuild/prebuilds.ts'
import { silentLog } from '../support/silent-log.ts'

let journal: string[]
let failures: Map<string, Failure>
let failed: FailedPrebuilds
let gate: Promise<void> | undefined
/** While set, outputs are being built. */
let building: Promise<void> | undefined

/** Prebuilds over an evaluation, a Nix and builds that write down what they are asked. */
function prebuildsOf(options: Partial<PrebuildsOptions> = {}): Prebuilds {
  const failing = (step: string, name: string) => failures.get(`${step} ${name}`)
  const nameOf = (packages: readonly EvaluatedPackage[]) => packages[0]?.name ?? ''
  return new Prebuilds({
    evaluation: {
      async batch(names: { text: string }[], revision: { id: string }) {
        journal.push(`evaluate ${revision.id}: ${names.map(({ text }) => text).join(' ')}`)
        await gate
        return names.map(({ text }) => failing('evaluate', text) ?? [{ name: text }])
      },
    } as never,
    nix: {
      realiseEach(images: EvaluatedPackage[][], { signal }: { signal?: AbortSignal }) {
        journal.push(`realise ${images.map(nameOf).join(' ')}`)
        return images.map(async (packages) => {
          await Promise.race([
            building,
            new Promise((_, stop) => {
              signal?.addEventListener('abort', () => stop(signal.reason))
            }),
          ])
          const failure = failing('realise', nameOf(packages))
          if (failure) throw failure
        })
      },
    } as never,
    planning: { isNew: async () => false } as never,
    builds: {
      claim: async () => ({ release: async () => {} }),
      async get({ name }: { name: { text: string } }) {
        journal.push(`pack ${name.text}`)
        const failure = failing('pack', name.text)
        if (failure) throw failure
      },
      remember(key: string) {
        journal.push(`remember ${key}`)
      },
    } as never,
    failed,
    nixLimiter: new PriorityLimiter(2),
    limit: { seconds: 3600, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
    concurrency: 1,
    log: silentLog,
    ...options,
  })
}

const image = (name: string, commit = 'c1') => ({
  imageKey: `${name}@${commit}`,
  name: parseImageName(name),
  revision: { id: commit },
})

beforeEach(() => {
  journal = []
  failures = new Map()
  failed = new FailedPrebuilds()
  gate = undefined
  building = undefined
})

const idle = (prebuilds: Prebuilds, lines: number) =>
  vi.waitFor(() => {
    expect(prebuilds.waiting).toBe(0)
    expect(journal.length).toBeGreaterThanOrEqual(lines)
  })

describe('prebuilds', () => {
  test('of one commit are evaluated and realised together', async () => {
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('b'), image('c', 'c2')])
    await idle(prebuilds, 7)
    expect(journal).toEqual([
      'evaluate c1: a b',
      'realise a b',
      'pack a',
      'pack b',
      'evaluate c2: c',
      'realise c',
      'pack c',
    ])
  })

  test('that a tag wants go before those of branches', async () => {
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const prebuilds = prebuildsOf()
    const of = (ref: string, name: string, commit: string) => {
      const one = image(name, commit)
      return { ...one, revision: { ...one.revision, ref } }
    }
    prebuilds.add([image('first')])
    prebuilds.add([of('refs/heads/main', 'b', 'c2'), of('refs/heads/main', 'c', 'c2')])
    prebuilds.add([of('refs/tags/v1', 'a', 'c3')])
    expect([prebuilds.waitingFor('tag'), prebuilds.waitingFor('branch')]).toEqual([1, 2])
    held.resolve()
    await idle(prebuilds, 9)
    expect(journal.filter((line) => line.startsWith('evaluate'))).toEqual([
      'evaluate c1: first',
      'evaluate c3: a',
      'evaluate c2: b c',
    ])
  })

  test('of another platform are a batch of their own', async () => {
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('arm64/a'), image('b')])
    await idle(prebuilds, 7)
    expect(journal.filter((line) => line.startsWith('evaluate'))).toEqual([
      'evaluate c1: a b',
      'evaluate c1: arm64/a',
    ])
  })

  test.each(['evaluate', 'realise'])('go on when one of them fails to %s', async (step) => {
    failures.set(`${step} a`, new Failure('build-failed', 'a is broken'))
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('b')])
    await idle(prebuilds, 4)
    expect(journal).toContain('pack b')
    expect(journal).not.toContain('pack a')
    expect(journal).toContain('remember a@c1')
    expect(failed.get('a@c1')?.message).toBe('a is broken')
  })

  test('that fail for a cause which may pass are tried again, three times', async () => {
    failures.set('pack a', new Failure('unavailable', 'the storage is away'))
    const prebuilds = prebuildsOf({ retryDelays: [1, 1, 1] })
    prebuilds.add([image('a')])
    await vi.waitFor(() => expect(journal.filter((line) => line === 'pack a')).toHaveLength(4))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(journal.filter((line) => line === 'pack a')).toHaveLength(4)
    expect(failed.get('a@c1')).toBeUndefined()
  })

  test('that somebody pulls, or that are not wanted any more, are not started', async () => {
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('b', 'c2'), image('c', 'c3'), image('d', 'c4')])
    prebuilds.take('b@c2', Promise.resolve())
    prebuilds.drop(({ revision }) => revision.id !== 'c3')
    held.resolve()
    await idle(prebuilds, 6)
    expect(journal.filter((line) => line.startsWith('pack'))).toEqual(['pack a', 'pack d'])
  })

  test.each([
    ['which ran out of time', new Failure('build-timed-out', 'too slow for a pull'), true],
    ['which could not reach the storage', new Failure('unavailable', 'away'), true],
    ['which does not build', new Failure('build-failed', 'broken'), false],
  ])('that were left to a pull %s are built after all: %o', async (_, failure, isBuilt) => {
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const prebuilds = prebuildsOf()
    prebuilds.add([image('first'), image('a', 'c2')])
    prebuilds.take('a@c2', Promise.reject(failure))
    await new Promise((resolve) => setImmediate(resolve))
    held.resolve()
    await idle(prebuilds, isBuilt ? 6 : 3)
    await new Promise((resolve) => setImmediate(resolve))
    expect(journal.includes('pack a')).toBe(isBuilt)
  })

  test('that run are ended when none of their images is wanted any more', async () => {
    building = new Promise(() => {})
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('b')])
    await vi.waitFor(() => expect(journal).toContain('realise a b'))
    prebuilds.drop(({ imageKey }) => imageKey === 'a@c1')
    building = undefined
    prebuilds.add([image('c', 'c2')])
    expect(prebuilds.stateOf('a@c1')).toBe('building')
    prebuilds.drop(({ revision }) => revision.id === 'c2')
    await vi.waitFor(() => expect(journal).toContain('pack c'))
    expect(journal.filter((line) => line.startsWith('pack'))).toEqual(['pack c'])
    expect(failed.get('a@c1')).toBeUndefined()
  })

  test('that are added twice are built once', async () => {
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const prebuilds = prebuildsOf()
    prebuilds.add([image('first')])
    prebuilds.add([image('a', 'c2')])
    prebuilds.add([image('a', 'c2')])
    held.resolve()
    await idle(prebuilds, 6)
    expect(journal.filter((line) => line === 'pack a')).toHaveLength(1)
  })

  test('that were stopped start nothing more', async () => {
    const held = Promise.withResolvers<void>()
    gate = held.promise
    const prebuilds = prebuildsOf()
    prebuilds.add([image('a'), image('b', 'c2')])
    prebuilds.stop()
    prebuilds.add([image('c', 'c3')])
    held.resolve()
    await vi.waitFor(() => expect(journal).toContain('pack a'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(journal.filter((line) => line.startsWith('evaluate'))).toEqual(['evaluate c1: a'])
  })
})
