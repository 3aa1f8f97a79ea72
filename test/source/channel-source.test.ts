import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FilesystemStore } from '../../service/adapters/filesystem/filesystem-store.ts'
import { Failure } from '../../service/image/errors.ts'
import { ChannelSource } from '../../service/source/channel-source.ts'
import { channelRecord } from '../../service/source/nixpkgs-commits.ts'
import { Records } from '../../service/storage/records.ts'
import { FakeChannelServer } from '../support/fake-channel-server.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const C = 'c'.repeat(40)
const stable = 'nixos-24.11'

let folder: TemporaryFolder
let store: ObservedStore
let log: RecordingLog
let server: FakeChannelServer

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: new Date('2024-12-01T16:59:50Z') })
  folder = await TemporaryFolder.create()
  store = new ObservedStore(await FilesystemStore.open(folder.path))
  log = new RecordingLog()
  server = new FakeChannelServer()
  server.channels.set(stable, A).set('nixpkgs-unstable', C)
})
afterEach(async () => {
  vi.useRealTimers()
  await folder[Symbol.asyncDispose]()
})

/** Creates a source as another instance has it, or the same instance after a restart. */
function instance(channelServer = server): ChannelSource {
  const records = new Records(store, 'channels', channelRecord, log)
  return new ChannelSource({ channel: stable, server: channelServer, records, log })
}

async function started(): Promise<ChannelSource> {
  const source = instance()
  await source.start()
  return source
}

const commitOf = async (source: ChannelSource, tag = 'latest') => (await source.resolve(tag)).id

/** Waits until the source has resolved a channel in the background, which it logs. */
const backgroundEnded = () => vi.waitFor(() => expect(log.lines.length).toBeGreaterThan(0))

describe('resolve with the name of a channel', () => {
  test('latest resolves to the commit of the configured channel', async () => {
    const source = await started()
    expect(await source.resolve('latest')).toEqual({ id: A, ref: stable })
    expect(await source.resolve(stable)).toEqual({ id: A, ref: stable })
    expect(server.requests).toEqual([stable])
    expect(source.status()).toEqual({ ready: true, refreshedAt: '2024-12-01T16:59:50.000Z' })
  })

  test('another channel is resolved when it is requested, and listed from then on', async () => {
    const source = await started()
    expect(source.tags()).toEqual(['latest', stable])
    expect(await commitOf(source, 'nixpkgs-unstable')).toBe(C)
    expect(source.tags()).toEqual(['latest', stable, 'nixpkgs-unstable'])
  })

  test('a tag that is no channel is unknown, and the failure names the configured channel', async () => {
    const source = await started()
    await expect(source.resolve('nixos-24.10')).rejects.toMatchObject({
      kind: 'manifest-unknown',
      message:
        '"nixos-24.10" is no channel of nixpkgs and no full commit of it; "latest" is the channel ' +
        'nixos-24.11; the nearest: nixos-24.11',
    })
    await expect(source.resolve('nixos-24.10')).rejects.toMatchObject({ kind: 'manifest-unknown' })
    expect(server.requests).toEqual([stable, 'nixos-24.10'])
    expect(source.tags()).toEqual(['latest', stable])
    expect(log.at('warn')).toEqual([])
  })

  test('an unknown channel is requested from the server again after a minute', async () => {
    const source = await started()
    await expect(source.resolve('nixos-25.05')).rejects.toThrow()
    server.channels.set('nixos-25.05', B)
    vi.advanceTimersByTime(61_000)
    expect(await commitOf(source, 'nixos-25.05')).toBe(B)
  })

  test.each(['_x', 'a/b', '..', '.hidden', 'a b', 'ä', '', 'x'.repeat(129)])(
    'a tag that cannot be the name of a channel (%s) is not requested from the server',
    async (tag) => {
      const source = await started()
      await expect(source.resolve(tag)).rejects.toMatchObject({ kind: 'manifest-unknown' })
      expect(server.requests).toEqual([stable])
    },
  )

  test('4 unknown channels are requested at the same time, 100 wait, and more are overloaded', async () => {
    const source = await started()
    const gate = Promise.withResolvers<void>()
    server.gate = gate.promise
    const guesses = Promise.allSettled(
      Array.from({ length: 150 }, (_, index) => source.resolve(`guess-${index}`)),
    )
    await vi.waitFor(() => expect(server.requests).toHaveLength(1 + 4))
    expect(await commitOf(source)).toBe(A)
    gate.resolve()
    const kinds = (await guesses).map((guess) =>
      guess.status === 'rejected' && guess.reason instanceof Failure ? guess.reason.kind : '',
    )
    expect(kinds.filter((kind) => kind === 'overloaded')).toHaveLength(46)
    expect(kinds.filter((kind) => kind === 'manifest-unknown')).toHaveLength(104)
  })
})

describe('resolve with a full commit id', () => {
  test.each([stable, 'master'])('a commit in the history of %s is served', async (branch) => {
    const source = await started()
    server.history.set(B, [branch])
    expect(await source.resolve(B.toUpperCase())).toEqual({ id: B })
  })

  test('a commit that only a fork has is unknown', async () => {
    const source = await started()
    for (let i = 0; i < 3; i++) {
      await expect(source.resolve(B)).rejects.toMatchObject({
        kind: 'manifest-unknown',
        message: expect.stringContaining(stable),
      })
    }
    expect(server.requests).toEqual([stable, B])
  })

  test('a former commit of a channel is served without asking the server', async () => {
    await started()
    server.channels.set(stable, B)
    vi.advanceTimersByTime(60_000)
    const source = await started()
    await backgroundEnded()
    server.down = true
    expect(await commitOf(source, A)).toBe(A)
  })

  test('a commit is checked once by all instances together', async () => {
    server.history.set(B, ['master'])
    await commitOf(await started(), B)
    server.down = true
    expect(await commitOf(instance(), B)).toBe(B)
  })

  test('a commit that cannot be checked is unavailable, not unknown', async () => {
    const source = await started()
    server.down = true
    await expect(source.resolve(B)).rejects.toMatchObject({ kind: 'unavailable' })
    server.down = false
    server.history.set(B, ['master'])
    expect(await commitOf(source, B)).toBe(B)
  })
})

describe('within an hour', () => {
  test('20 simultaneous pulls of latest cause one request to the channel server', async () => {
    const source = instance()
    const all = await Promise.all(Array.from({ length: 20 }, () => commitOf(source)))
    expect(new Set(all)).toEqual(new Set([A]))
    expect(server.requests).toEqual([stable])
  })

  test('a moved channel keeps its commit until the next hour', async () => {
    const source = await started()
    server.channels.set(stable, B)
    vi.advanceTimersByTime(9_000)
    expect(await commitOf(source)).toBe(A)
    vi.advanceTimersByTime(1_000)
    expect(await commitOf(source)).toBe(B)
    expect(server.requests).toHaveLength(2)
  })

  test('every instance serves the commit of the first one without asking the server', async () => {
    await started()
    server.channels.set(stable, B)
    const other = await started()
    expect(await commitOf(other)).toBe(A)
    expect(server.requests).toEqual([stable])
  })

  test('two instances that resolve at the same time serve the commit that was recorded first', async () => {
    const gate = Promise.withResolvers<void>()
    const moved = new FakeChannelServer()
    moved.channels.set(stable, B)
    for (const each of [server, moved]) each.gate = gate.promise
    const both = Promise.all([commitOf(instance()), commitOf(instance(moved))])
    await vi.waitFor(() =>
      expect([...server.requests, ...moved.requests]).toEqual([stable, stable]),
    )
    gate.resolve()
    const [one, other] = await both
    expect(one).toBe(other)
  })
})

describe('when the channel server is down', () => {
  test('the last known commit is still served, and the status has the failure', async () => {
    const source = await started()
    server.down = true
    vi.advanceTimersByTime(60_000)
    expect(await commitOf(source)).toBe(A)
    expect(source.status()).toEqual({
      ready: true,
      refreshedAt: '2024-12-01T16:59:50.000Z',
      failure:
        `the channel "${stable}" could not be resolved: no route to the channel server; ` +
        `its last known commit, ${A}, is served`,
    })
  })

  test('a channel server that is down is asked once a minute, and no pull waits for it', async () => {
    const source = await started()
    server.down = true
    vi.advanceTimersByTime(60_000)
    await commitOf(source)
    for (let i = 0; i < 10; i++) await commitOf(source)
    expect(server.requests).toHaveLength(2)
    server.gate = new Promise(() => {})
    vi.advanceTimersByTime(61_000)
    for (let i = 0; i < 10; i++) expect(await commitOf(source)).toBe(A)
    await vi.waitFor(() => expect(server.requests).toHaveLength(3))
  })

  test('an outage of the channel server and its end are logged once each', async () => {
    const source = await started()
    log.lines.length = 0
    server.down = true
    for (let minute = 1; minute < 5; minute++) {
      vi.advanceTimersByTime(61_000)
      await commitOf(source)
      await vi.waitFor(() => expect(server.requests).toHaveLength(1 + minute))
    }
    server.down = false
    server.channels.set(stable, B)
    vi.advanceTimersByTime(61_000)
    await commitOf(source)
    await vi.waitFor(async () => expect(await commitOf(source)).toBe(B))
    expect(source.status().failure).toBeUndefined()
    expect(log.at('warn', 'info').map(({ message }) => message)).toEqual([
      'the channel cannot be resolved; its last known commit is still served',
      'the channel moved to another commit',
      'the channel can be resolved again',
    ])
  })

  test('a commit that another instance recorded in this hour is served', async () => {
    const source = await started()
    vi.advanceTimersByTime(60_000)
    server.channels.set(stable, B)
    await commitOf(instance())
    server.down = true
    expect(await commitOf(source)).toBe(B)
  })

  test('after a restart the last known commit is served', async () => {
    await started()
    server.down = true
    vi.advanceTimersByTime(24 * 3600_000)
    const source = await started()
    expect(await commitOf(source)).toBe(A)
    await vi.waitFor(() => expect(source.status().failure).toContain('no route'))
    expect(source.status().ready).toBe(true)
  })

  test('after a restart the last known commit of another channel is served, too', async () => {
    await commitOf(await started(), 'nixpkgs-unstable')
    server.down = true
    vi.advanceTimersByTime(24 * 3600_000)
    const source = await started()
    expect(await commitOf(source, 'nixpkgs-unstable')).toBe(C)
  })

  test('start fails if no commit is known, and says why', async () => {
    server.down = true
    const source = instance()
    await expect(source.start()).rejects.toMatchObject({
      kind: 'unavailable',
      message: `the channel "${stable}" could not be resolved: no route to the channel server`,
    })
    expect(source.status()).toEqual({ ready: false })
  })

  test('a channel that was never resolved is unavailable, not unknown', async () => {
    const source = await started()
    server.down = true
    await expect(source.resolve('nixpkgs-unstable')).rejects.toMatchObject({
      kind: 'unavailable',
      retryAfter: expect.any(Number),
    })
    server.down = false
    expect(await commitOf(source, 'nixpkgs-unstable')).toBe(C)
  })
})

test('start fails if the configured channel does not exist', async () => {
  server.channels.clear()
  await expect(instance().start()).rejects.toThrow(
    `"${stable}" is no channel of nixpkgs and no full commit of it; NIXERY_CHANNEL names it`,
  )
})

test('a channel that no longer exists is still served, with a failure in the status', async () => {
  const source = await started()
  server.channels.clear()
  vi.advanceTimersByTime(60_000)
  expect(await commitOf(source)).toBe(A)
  expect(source.status().failure).toContain('is no longer a channel of nixpkgs')
})

test('while the storage fails, the last known commit is served with a failure in the status', async () => {
  const source = await started()
  vi.advanceTimersByTime(60_000)
  store.before = () => {
    throw new Failure('unavailable', 'the disk is full')
  }
  expect(await commitOf(source)).toBe(A)
  expect(source.status().failure).toContain('the disk is full')
})

test('export downloads the tree of the commit from the channel server', async () => {
  const source = await started()
  await source.export({ id: A }, '/somewhere')
  expect(server.requests).toContain(`${A} to /somewhere`)
})

describe('keep', () => {
  test('the trees of all current commits of channels are kept', async () => {
    const source = await started()
    await commitOf(source, 'nixpkgs-unstable')
    expect(server.kept).toEqual([A, C])
    server.channels.set(stable, B)
    vi.advanceTimersByTime(60_000)
    await commitOf(source)
    expect(server.kept).toEqual([B, C])
  })

  test('after a restart without the channel server, the trees of the last known commits are kept', async () => {
    await commitOf(await started(), 'nixpkgs-unstable')
    server = new FakeChannelServer()
    server.down = true
    vi.advanceTimersByTime(60_000)
    const source = await started()
    expect(server.kept).toEqual([A])
    await commitOf(source, 'nixpkgs-unstable')
    expect(server.kept).toEqual([A, C])
  })
})
