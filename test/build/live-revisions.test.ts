import { beforeEach, expect, test, vi } from 'vitest'
import { LiveRevisions } from '../../service/build/live-revisions.ts'
import type { EvaluatedPackage } from '../../service/closure/package.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { evaluated } from '../support/fake-nix.ts'

const live = { id: 'live', liveFolder: '/packages' }
const hello = parseImageName('hello')
const packagesAt = (storePath: string) => [evaluated('hello', { storePath })]

/** The evaluations that were started. */
let evaluations: PromiseWithResolvers<EvaluatedPackage[]>[]
let revisions: LiveRevisions

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'Date'] })
  // LRUCache never expires what was stored at time 0.
  vi.advanceTimersByTime(1)
  evaluations = []
  revisions = new LiveRevisions({
    packages: () => {
      const evaluation = Promise.withResolvers<EvaluatedPackage[]>()
      evaluations.push(evaluation)
      return evaluation.promise
    },
  })
  return () => vi.useRealTimers()
})

const identify = () => revisions.identify(hello, live)

test('a commit keeps its id and is not evaluated', async () => {
  const revision = { id: 'c'.repeat(40) }
  expect(await revisions.identify(hello, revision)).toEqual({ revision })
  expect(evaluations).toHaveLength(0)
})

test('the id of a live folder is a hash of the packages of the image', async () => {
  const identified = identify()
  evaluations[0]?.resolve(packagesAt('/nix/store/a'))
  const { revision, packages } = await identified
  expect(revision.id).toMatch(/^[0-9a-f]{64}$/)
  expect(packages).toEqual(packagesAt('/nix/store/a'))
})

test('a live folder whose packages changed gets another id', async () => {
  const first = identify()
  evaluations[0]?.resolve(packagesAt('/nix/store/a'))
  await first
  vi.advanceTimersByTime(2000)
  const second = identify()
  evaluations[1]?.resolve(packagesAt('/nix/store/b'))
  expect((await second).revision.id).not.toBe((await first).revision.id)
})

test('concurrent requests share one evaluation of a live folder', async () => {
  const pulls = [identify(), identify()]
  evaluations[0]?.resolve(packagesAt('/nix/store/a'))
  const [head, get] = await Promise.all(pulls)
  expect(get).toBe(head)
  expect(evaluations).toHaveLength(1)
})

test('a long evaluation of a live folder is reused for a second after its end', async () => {
  const head = identify()
  vi.advanceTimersByTime(10_000)
  evaluations[0]?.resolve(packagesAt('/nix/store/a'))
  const first = await head
  expect(await identify()).toBe(first)
  expect(evaluations).toHaveLength(1)
})

test('requests more than a second after the start of an evaluation share one later evaluation', async () => {
  const first = identify()
  vi.advanceTimersByTime(2000)
  const later = [identify(), identify()]
  vi.advanceTimersByTime(2000)
  later.push(identify())
  expect(evaluations).toHaveLength(1)
  evaluations[0]?.resolve(packagesAt('/nix/store/a'))
  await first
  await vi.waitFor(() => expect(evaluations).toHaveLength(2))
  evaluations[1]?.resolve(packagesAt('/nix/store/b'))
  const outcomes = await Promise.all(later)
  expect(new Set(outcomes).size).toBe(1)
  expect(outcomes[0]?.packages).toEqual(packagesAt('/nix/store/b'))
  expect(evaluations).toHaveLength(2)
})

test('a failed evaluation of a live folder reaches all who share it, and is repeated a second later', async () => {
  const failing = [identify(), identify()]
  evaluations[0]?.reject(new Error('broken'))
  for (const one of failing) await expect(one).rejects.toThrow('broken')
  expect(evaluations).toHaveLength(1)
  vi.advanceTimersByTime(2000)
  const next = identify()
  evaluations[1]?.resolve(packagesAt('/nix/store/a'))
  expect((await next).packages).toEqual(packagesAt('/nix/store/a'))
})
