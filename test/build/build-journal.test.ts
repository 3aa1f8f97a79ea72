import { beforeEach, describe, expect, test } from 'vitest'
import { buildEntry } from '../../service/build/build-entry.ts'
import { BuildJournal } from '../../service/build/build-journal.ts'
import type { BuildEntry, NewBuild } from '../../service/build/ports.ts'
import { Failure } from '../../service/image/errors.ts'
import { Records } from '../../service/storage/records.ts'
import { buildEntryOf } from '../support/build-entries.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { ObservedStore } from '../support/observed-store.ts'
import { RecordingLog } from '../support/recording-log.ts'

const revision = 'a'.repeat(40)
const digest = `sha256:${'d'.repeat(64)}`

let memory: MemoryStore
let store: ObservedStore
let log: RecordingLog
beforeEach(() => {
  memory = new MemoryStore()
  store = new ObservedStore(memory)
  log = new RecordingLog()
})

function journalOf(sizes: { mostInMemory?: number; mostStored?: number } = {}): BuildJournal {
  const records = new Records(store, 'builds', buildEntry, log)
  return new BuildJournal({ records, log, ...sizes })
}

const begin = (journal: BuildJournal, build: Partial<NewBuild> = {}) =>
  journal.begin({ image: 'git', revision, ref: 'refs/tags/v1', cause: 'pull', ...build })

async function putEntries(count: number): Promise<BuildEntry[]> {
  const entries = Array.from({ length: count }, () => buildEntryOf())
  for (const entry of entries) {
    await memory.put(`builds/${entry.id}`, Buffer.from(JSON.stringify(entry)))
  }
  return entries
}

function breakStorage(): void {
  store.before = () => {
    throw new Failure('unavailable', 'no answer')
  }
}

const images = (entries: readonly BuildEntry[]) => entries.map(({ image }) => image)

describe('the journal entry of a build', () => {
  test('a running build is listed with its finished stages', () => {
    const journal = journalOf()
    const build = begin(journal)
    build.stage('evaluate', 420.4)
    build.stage('realise', 3)
    expect(journal.recent()).toEqual([
      {
        id: build.id,
        image: 'git',
        revision,
        ref: 'refs/tags/v1',
        cause: 'pull',
        startedAt: expect.any(String),
        outcome: 'running',
        stages: { evaluate: 420, realise: 3 },
      },
    ])
  })

  test('a build is stored when it ends, and not before', async () => {
    const journal = journalOf()
    const build = begin(journal)
    build.stage('evaluate', 420)
    await journal.flush()
    expect(store.calls).toEqual([])
    build.built(digest)
    await journal.flush()
    expect(store.calls).toEqual([`put builds/${build.id}`, `stored builds/${build.id}`])
    const later = await journalOf().get(build.id)
    expect(later).toMatchObject({ outcome: 'built', digest, stages: { evaluate: 420 } })
    expect(Date.parse(later?.endedAt ?? '')).toBeGreaterThanOrEqual(
      Date.parse(later?.startedAt ?? ''),
    )
  })

  test('a failed build is listed with its failure and the end of its log', async () => {
    const journal = journalOf()
    const build = begin(journal)
    build.failed(new Failure('build-failed', 'it broke; the end of its log:\nError 1'))
    expect(await journal.get(build.id)).toMatchObject({
      outcome: 'failed',
      failure: 'it broke; the end of its log:',
      log: 'Error 1',
    })
  })

  test('calls after the end of a build are ignored', async () => {
    const journal = journalOf()
    const build = begin(journal)
    build.aborted()
    build.built(digest)
    build.stage('pack', 1)
    await journal.flush()
    expect(await journal.get(build.id)).toMatchObject({ outcome: 'aborted', stages: {} })
    expect(memory.objects.size).toBe(1)
  })
})

describe('the journal without a working storage', () => {
  test('builds begin and end in memory while the storage fails', async () => {
    breakStorage()
    const journal = journalOf()
    for (let times = 0; times < 5; times++) {
      const build = begin(journal)
      build.stage('evaluate', 1)
      build.built(digest)
    }
    await journal.flush()
    expect(journal.recent().map(({ outcome }) => outcome)).toEqual(Array(5).fill('built'))
  })

  test('a failing storage is logged once, and once when it works again', async () => {
    breakStorage()
    const journal = journalOf()
    for (let times = 0; times < 5; times++) begin(journal).aborted()
    await journal.flush()
    store.before = () => {}
    for (let times = 0; times < 5; times++) begin(journal).aborted()
    await journal.flush()
    expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'the journal of builds cannot be stored'],
      ['info', 'the journal of builds can be stored again'],
    ])
    expect(memory.objects.size).toBe(5)
  })

  test('load() resolves with a warning if the storage fails', async () => {
    breakStorage()
    const journal = journalOf()
    await journal.load()
    expect(journal.recent()).toEqual([])
    expect(log.at('warn').map(({ message }) => message)).toEqual([
      'the journal of builds cannot be read',
    ])
  })

  test('get() of a build that is not in memory throws if the storage fails', async () => {
    const [entry] = await putEntries(1)
    breakStorage()
    await expect(journalOf().get(entry?.id ?? '')).rejects.toThrow('no answer')
  })

  test('a storage that hangs delays no build, and at most some 1000 entries wait for it', async () => {
    const hanging = Promise.withResolvers<void>()
    store.before = () => hanging.promise
    const journal = journalOf()
    for (let times = 0; times < 3000; times++) begin(journal).built(digest)
    expect(journal.recent(1)).toMatchObject([{ outcome: 'built' }])
    hanging.resolve()
    await journal.flush()
    expect(memory.objects.size).toBeGreaterThan(900)
    expect(memory.objects.size).toBeLessThan(1100)
  })
})

describe('builds in memory', () => {
  test('recent() lists the newest builds first, up to the limit', () => {
    const journal = journalOf({ mostInMemory: 3 })
    for (const image of ['a', 'b', 'c', 'd', 'e']) begin(journal, { image }).aborted()
    expect(images(journal.recent())).toEqual(['e', 'd', 'c'])
    expect(images(journal.recent(1))).toEqual(['e'])
  })

  test('a running build stays in memory as long as a finished one can be dropped', () => {
    const journal = journalOf({ mostInMemory: 3 })
    begin(journal, { image: 'running' })
    for (const image of ['b', 'c', 'd']) begin(journal, { image }).aborted()
    expect(images(journal.recent())).toEqual(['d', 'c', 'running'])
    for (const image of ['e', 'f', 'g']) begin(journal, { image })
    expect(images(journal.recent())).toEqual(['g', 'f', 'e'])
  })

  test('a build dropped from memory is not listed again, but its end is stored', async () => {
    const journal = journalOf({ mostInMemory: 1 })
    const first = begin(journal, { image: 'first' })
    begin(journal, { image: 'second' })
    first.built(digest)
    await journal.flush()
    expect(images(journal.recent())).toEqual(['second'])
    expect(await journal.get(first.id)).toMatchObject({ image: 'first', outcome: 'built' })
  })
})

describe('builds in the storage', () => {
  test('load() reads the newest builds into memory, before those that started meanwhile', async () => {
    const entries = await putEntries(5)
    const journal = journalOf({ mostInMemory: 3 })
    begin(journal, { image: 'meanwhile' })
    await journal.load()
    expect(journal.recent()).toEqual([
      expect.objectContaining({ image: 'meanwhile' }),
      entries[4],
      entries[3],
    ])
  })

  test('get() reads a build that is too old for the memory from the storage', async () => {
    const [oldest] = await putEntries(5)
    const journal = journalOf({ mostInMemory: 1 })
    await journal.load()
    expect(await journal.get(oldest?.id ?? '')).toEqual(oldest)
  })

  test('get() of a text that is no build id does not ask the storage', async () => {
    const journal = journalOf()
    for (const id of ['', 'x', '../images/x']) expect(await journal.get(id)).toBeUndefined()
    expect(store.calls).toEqual([])
    expect(await journal.get('20260101T000000Z-ffffffff')).toBeUndefined()
  })

  test('load() deletes the oldest builds if there are too many, and no foreign object', async () => {
    const entries = await putEntries(10)
    await memory.put('builds/README', Buffer.from('not ours'))
    await journalOf({ mostStored: 4 }).load()
    const kept = entries.slice(-4).map(({ id }) => `builds/${id}`)
    expect([...memory.objects.keys()].sort()).toEqual([...kept, 'builds/README'].sort())
  })

  test('the oldest builds are deleted after every hundred new ones', async () => {
    const [oldest] = await putEntries(1)
    const journal = journalOf({ mostStored: 20 })
    for (let times = 0; times < 250; times++) begin(journal).aborted()
    await journal.flush()
    expect(memory.objects.has(`builds/${oldest?.id}`)).toBe(false)
    expect(memory.objects.size).toBeLessThanOrEqual(120)
    expect(store.calls.filter((call) => call.startsWith('list'))).toHaveLength(2)
  })

  test('load() skips damaged records', async () => {
    const [damaged, whole] = await putEntries(2)
    await memory.put(`builds/${damaged?.id}`, Buffer.from('{"id"'))
    const journal = journalOf()
    await journal.load()
    expect(journal.recent()).toEqual([whole])
  })
})
