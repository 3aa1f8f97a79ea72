/**
 * The builds of late: in memory, and one record each in the storage, so that they survive a restart.
 * The journal is told of builds and has no say in them: it neither fails nor delays one.
 */

import PQueue from 'p-queue'
import { messageOf } from '../image/errors.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { buildId, explain, isBuildId } from './build-entry.ts'
import type { BuildEntry } from './ports.ts'

const defaultRecent = 200
const defaultKept = 2000
/** RecordStore written until the next look for those that are too many: a listing is not free. */
const writesBetweenSweeps = 100
/** Reads, writes or deletions under way at a time. */
const concurrency = 4
/** Entries that wait for the storage: what is more than this while it is out of reach is not stored. */
const mostWaiting = 1000

export interface BuildJournalOptions {
  readonly records: RecordStore<BuildEntry>
  readonly log: Log
  /** Builds in memory. @default 200 */
  readonly recent?: number
  /** Builds in the storage; some more until they are swept. @default 2000 */
  readonly kept?: number
}

export type NewBuild = Pick<BuildEntry, 'image' | 'revision' | 'ref' | 'cause'>

/** What is told of a build while it runs. */
export interface RunningBuild {
  readonly id: string
  stage(name: string, milliseconds: number): void
  built(digest: string): void
  /** @param error what the build threw; a message of several lines ends with those of a log */
  failed(error: unknown): void
  /** Nobody wanted it any more, or the service ends. */
  aborted(): void
}

export class BuildJournal {
  readonly #options: BuildJournalOptions
  /** By id, the oldest first. */
  readonly #entries = new Map<string, BuildEntry>()
  readonly #storage = new PQueue({ concurrency })
  #writesUntilSweep = writesBetweenSweeps
  #disturbed = false

  constructor(options: BuildJournalOptions) {
    this.#options = options
  }

  /** Takes the newest records into memory, and deletes what is too old. Never fails. */
  async load(): Promise<void> {
    const { records } = this.#options
    await this.#attempt('read', async () => {
      const ids = await this.#sweep()
      const newest = ids.slice(-this.#recentSize)
      const reads = newest.map((id) => () => records.get(id))
      const found = await new PQueue({ concurrency }).addAll(reads)
      const since = [...this.#entries.values()]
      const entries = [...found.filter((entry) => entry !== undefined), ...since]
      this.#entries.clear()
      for (const entry of entries.sort(byStart)) this.#keep(entry)
    })
  }

  begin({ image, revision, ref, cause }: NewBuild): RunningBuild {
    const startedAt = new Date()
    let entry: BuildEntry = {
      id: buildId(startedAt),
      image,
      revision,
      ...(ref === undefined ? {} : { ref }),
      cause,
      startedAt: startedAt.toISOString(),
      outcome: 'running',
      stages: {},
    }
    const change = (news: Partial<BuildEntry>): void => {
      if (entry.outcome !== 'running') return
      entry = { ...entry, ...news }
      // One that so many others have followed that it was dropped does not come back.
      if (this.#entries.has(entry.id)) this.#entries.set(entry.id, entry)
      if (entry.outcome !== 'running') this.#write(entry)
    }
    const end = (news: Partial<BuildEntry>): void =>
      change({ endedAt: new Date().toISOString(), ...news })
    this.#keep(entry)
    return {
      id: entry.id,
      stage: (name, milliseconds) =>
        change({ stages: { ...entry.stages, [name]: Math.round(milliseconds) } }),
      built: (digest) => end({ outcome: 'built', digest }),
      failed: (error) => end({ outcome: 'failed', ...explain(error) }),
      aborted: () => end({ outcome: 'aborted' }),
    }
  }

  /** Builds in memory, the newest first. */
  recent(limit = Number.POSITIVE_INFINITY): readonly BuildEntry[] {
    return [...this.#entries.values()].reverse().slice(0, limit)
  }

  /**
   * A build from memory, else from its record; undefined if there is none.
   * @throws Failure unavailable
   */
  async get(id: string): Promise<BuildEntry | undefined> {
    if (!isBuildId(id)) return undefined
    return this.#entries.get(id) ?? this.#options.records.get(id)
  }

  /** Waits until everything that has ended is stored, or could not be. Never fails. */
  async flush(): Promise<void> {
    await this.#storage.onIdle()
  }

  get #recentSize(): number {
    return this.#options.recent ?? defaultRecent
  }

  /** Of too many, the oldest that has ended goes; if none has, the oldest. */
  #keep(entry: BuildEntry): void {
    this.#entries.set(entry.id, entry)
    if (this.#entries.size <= this.#recentSize) return
    const entries = [...this.#entries.values()]
    const victim = entries.find(({ outcome }) => outcome !== 'running') ?? entries[0]
    if (victim) this.#entries.delete(victim.id)
  }

  #write(entry: BuildEntry): void {
    const { records } = this.#options
    if (this.#storage.size >= mostWaiting) return
    void this.#storage.add(() =>
      this.#attempt('stored', async () => {
        await records.replace(entry.id, entry)
        this.#writesUntilSweep -= 1
        if (this.#writesUntilSweep <= 0) await this.#sweep()
      }),
    )
  }

  /** Deletes the oldest records where there are too many. @returns the ids that stay, the oldest first */
  async #sweep(): Promise<string[]> {
    const { records, kept = defaultKept } = this.#options
    this.#writesUntilSweep = writesBetweenSweeps
    const ids: string[] = []
    // What has another name was put there by others.
    for await (const id of records.keys()) if (isBuildId(id)) ids.push(id)
    ids.sort()
    const surplus = ids.splice(0, Math.max(0, ids.length - kept))
    await new PQueue({ concurrency }).addAll(surplus.map((id) => () => records.delete(id)))
    return ids
  }

  async #attempt(verb: 'read' | 'stored', work: () => Promise<void>): Promise<void> {
    const { log } = this.#options
    try {
      await work()
      if (this.#disturbed) log.info({}, 'the journal of builds can be stored again')
      this.#disturbed = false
    } catch (error) {
      // Of a state that lasts, once is enough.
      if (!this.#disturbed) {
        log.warn({ failure: messageOf(error) }, `the journal of builds cannot be ${verb}`)
      }
      this.#disturbed = true
    }
  }
}

function byStart(a: BuildEntry, b: BuildEntry): number {
  return a.startedAt < b.startedAt ? -1 : a.startedAt > b.startedAt ? 1 : 0
}
