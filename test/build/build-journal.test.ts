import { beforeEach, describe, expect, test } from 'vitest'
import { buildEntry } from '../../service/build/build-entry.ts'
import { BuildJournal, type NewBuild } from '../../service/build/build-journal.ts'
import type { BuildEntry } from '../../service/build/ports.ts'
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

function journalOf(sizes: { recent?: number; kept?: number } = {}): BuildJournal {
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

describe('a build', () => {
  test('is seen while it runs, with the stages that it has behind it', () => {
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

  test('is stored when it has ended, not before', async () => {
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

  test('that fails is kept with the failure and the end of the log', async () => {
    const journal = journalOf()
    const build = begin(journal)
    build.failed(new Failure('build-failed', 'it broke; the end of its log:\nError 1'))
    expect(await journal.get(build.id)).toMatchObject({
      outcome: 'failed',
      failure: 'it broke; the end of its log:',
      log: 'Error 1',
    })
  })

  test('ends once', async () => {
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

describe('with the storage out of reach', () => {
  test('builds begin, go on and end as ever', async () => {
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

  test('that is logged once, and once that it is over', async () => {
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

  test('loading is no failure', async () => {
    breakStorage()
    const journal = journalOf()
    await journal.load()
    expect(journal.recent()).toEqual([])
    expect(log.at('warn').map(({ message }) => message)).toEqual([
      'the journal of builds cannot be read',
    ])
  })

  test('those who ask for an older build are told', async () => {
    const [entry] = await putEntries(1)
    breakStorage()
    await expect(journalOf().get(entry?.id ?? '')).rejects.toThrow('no answer')
  })

  test('a storage that hangs holds up no build, and what waits for it is bounded', async () => {
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

describe('memory', () => {
  test('has the newest first, and no more than it should', () => {
    const journal = journalOf({ recent: 3 })
    for (const image of ['a', 'b', 'c', 'd', 'e']) begin(journal, { image }).aborted()
    expect(images(journal.recent())).toEqual(['e', 'd', 'c'])
    expect(images(journal.recent(1))).toEqual(['e'])
  })

  test('keeps what still runs, as long as there is anything else to drop', () => {
    const journal = journalOf({ recent: 3 })
    begin(journal, { image: 'running' })
    for (const image of ['b', 'c', 'd']) begin(journal, { image }).aborted()
    expect(images(journal.recent())).toEqual(['d', 'c', 'running'])
    for (const image of ['e', 'f', 'g']) begin(journal, { image })
    expect(images(journal.recent())).toEqual(['g', 'f', 'e'])
  })

  test('that has dropped a build does not take it back, but stores its end', async () => {
    const journal = journalOf({ recent: 1 })
    const first = begin(journal, { image: 'first' })
    begin(journal, { image: 'second' })
    first.built(digest)
    await journal.flush()
    expect(images(journal.recent())).toEqual(['second'])
    expect(await journal.get(first.id)).toMatchObject({ image: 'first', outcome: 'built' })
  })
})

describe('the storage', () => {
  test('tells a new process of the newest builds', async () => {
    const entries = await putEntries(5)
    const journal = journalOf({ recent: 3 })
    begin(journal, { image: 'since' })
    await journal.load()
    expect(journal.recent()).toEqual([
      expect.objectContaining({ image: 'since' }),
      entries[4],
      entries[3],
    ])
  })

  test('is asked for a build that is older than those in memory', async () => {
    const [oldest] = await putEntries(5)
    const journal = journalOf({ recent: 1 })
    await journal.load()
    expect(await journal.get(oldest?.id ?? '')).toEqual(oldest)
  })

  test('is asked for nothing that is no id', async () => {
    const journal = journalOf()
    for (const id of ['', 'x', '../images/x']) expect(await journal.get(id)).toBeUndefined()
    expect(store.calls).toEqual([])
    expect(await journal.get('20260101T000000Z-ffffffff')).toBeUndefined()
  })

  test('loses the oldest when there are too many, at start-up', async () => {
    const entries = await putEntries(10)
    await memory.put('builds/README', Buffer.from('not ours'))
    await journalOf({ kept: 4 }).load()
    const kept = entries.slice(-4).map(({ id }) => `builds/${id}`)
    expect([...memory.objects.keys()].sort()).toEqual([...kept, 'builds/README'].sort())
  })

  test('loses the oldest when there are too many, after enough have been added', async () => {
    const [oldest] = await putEntries(1)
    const journal = journalOf({ kept: 20 })
    for (let times = 0; times < 250; times++) begin(journal).aborted()
    await journal.flush()
    expect(memory.objects.has(`builds/${oldest?.id}`)).toBe(false)
    expect(memory.objects.size).toBeLessThanOrEqual(120)
    expect(store.calls.filter((call) => call.startsWith('list'))).toHaveLength(2)
  })

  test('may hold damaged records', async () => {
    const [damaged, whole] = await putEntries(2)
    await memory.put(`builds/${damaged?.id}`, Buffer.from('{"id"'))
    const journal = journalOf()
    await journal.load()
    expect(journal.recent()).toEqual([whole])
  })
})
