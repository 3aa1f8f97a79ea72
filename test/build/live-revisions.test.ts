import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { EvaluateImage } from '../../service/build/evaluate-image.ts'
import { LiveRevisions } from '../../service/build/live-revisions.ts'
import type { EvaluatedPackage } from '../../service/closure/package.ts'
import { parseImageName } from '../../service/image/image-name.ts'

const live = { id: 'live', liveFolder: '/packages' }
const hello = parseImageName('hello')

let ends: ((outcome: EvaluatedPackage[] | Error) => void)[]
let revisions: LiveRevisions

beforeEach(() => {
  ends = []
  const evaluation = {
    packages: () =>
      new Promise<EvaluatedPackage[]>((resolve, reject) => {
        ends.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
      }),
  }
  revisions = new LiveRevisions(evaluation as unknown as EvaluateImage)
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'Date'] })
  return () => vi.useRealTimers()
})

const packageAt = (storePath: string) => [{ name: 'hello', storePath }] as EvaluatedPackage[]

describe('a pinned revision', () => {
  test('stays as it is, unevaluated', async () => {
    const revision = { id: 'c'.repeat(40) }
    expect(await revisions.pin(hello, revision)).toEqual({ revision })
    expect(ends).toHaveLength(0)
  })
})

describe('a live folder', () => {
  test('has the revision that an image evaluates to', async () => {
    const one = revisions.pin(hello, live)
    ends[0]?.(packageAt('/nix/store/a'))
    const { revision, packages } = await one
    expect(revision.id).toMatch(/^[0-9a-f]{64}$/)
    expect(packages).toEqual(packageAt('/nix/store/a'))
  })

  test('is evaluated once for requests that come together', async () => {
    const pulls = [revisions.pin(hello, live), revisions.pin(hello, live)]
    ends[0]?.(packageAt('/nix/store/a'))
    const [head, get] = await Promise.all(pulls)
    expect(get).toBe(head)
    expect(ends).toHaveLength(1)
  })

  test('is not evaluated again for a second after an evaluation that took long', async () => {
    const head = revisions.pin(hello, live)
    vi.advanceTimersByTime(10_000)
    ends[0]?.(packageAt('/nix/store/a'))
    const first = await head
    expect(await revisions.pin(hello, live)).toBe(first)
    expect(ends).toHaveLength(1)
  })

  test('is evaluated anew, and once, for those who ask later than a second after it began', async () => {
    const first = revisions.pin(hello, live)
    vi.advanceTimersByTime(2000)
    const later = [revisions.pin(hello, live), revisions.pin(hello, live)]
    vi.advanceTimersByTime(2000)
    later.push(revisions.pin(hello, live))
    expect(ends).toHaveLength(1)
    ends[0]?.(packageAt('/nix/store/a'))
    await first
    await vi.waitFor(() => expect(ends).toHaveLength(2))
    ends[1]?.(packageAt('/nix/store/b'))
    const outcomes = await Promise.all(later)
    expect(new Set(outcomes).size).toBe(1)
    expect(outcomes[0]?.packages).toEqual(packageAt('/nix/store/b'))
    expect(ends).toHaveLength(2)
  })

  test('that cannot be evaluated says so to all who asked, and is tried again', async () => {
    const failing = [revisions.pin(hello, live), revisions.pin(hello, live)]
    ends[0]?.(new Error('broken'))
    for (const one of failing) await expect(one).rejects.toThrow('broken')
    await new Promise((resolve) => setImmediate(resolve))
    expect(ends).toHaveLength(1)
  })
})
