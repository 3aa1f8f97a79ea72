/**
 * Journal of builds: the latest in memory, and one record for each in the storage, so that they survive a
 * restart. Builds never wait for the journal, and a failure of the journal never fails a build.
 */

import PQueue from 'p-queue'
import { messageOf } from '../image/errors.ts'
import type { RecordStore } from '../storage/ports.ts'
import { OutageLog } from '../telemetry/outage-log.ts'
import type { Log } from '../telemetry/ports.ts'
import { compareCodeUnits } from '../text/order.ts'
import { failureAndLogOf, isBuildId, newBuildId } from './build-entry.ts'
import type { BuildEntry, BuildHistory, JournalWriter, NewBuild, RunningBuild } from './ports.ts'

const defaultMostInMemory = 200
const defaultMostStored = 2000
/** Records written before old ones are deleted again: each deletion lists all records. */
const writesBetweenDeletions = 100
/** Most reads, writes or deletions at a time. */
const concurrency = 4
/** Most entries that wait to be written. If more would wait, the storage does not answer, and they are lost. */
const mostWaiting = 1000

export interface BuildJournalOptions {
  readonly records: RecordStore<BuildEntry>
  readonly log: Log
  /** Most builds in memory. @default 200 */
  readonly mostInMemory?: number
  /** Builds that remain stored when old ones are deleted. @default 2000 */
  readonly mostStored?: number
}

export class BuildJournal implements JournalWriter, BuildHistory {
  readonly #records: RecordStore<BuildEntry>
  readonly #outage: OutageLog
  readonly #mostInMemory: number
  readonly #mostStored: number
  /** By id, oldest first. */
  readonly #entries = new Map<string, BuildEntry>()
  readonly #writes = new PQueue({ concurrency })
  #writesUntilDeletion = writesBetweenDeletions

  constructor({ records, log, mostInMemory, mostStored }: BuildJournalOptions) {
    this.#records = records
    this.#outage = new OutageLog(log)
    this.#mostInMemory = mostInMemory ?? defaultMostInMemory
    this.#mostStored = mostStored ?? defaultMostStored
  }

  /** Reads the newest records into memory, and deletes the oldest. Never rejects. */
  async load(): Promise<void> {
    await this.#attempt('read', async () => {
      const ids = await this.#deleteOldest()
      const newest = ids.slice(-this.#mostInMemory)
      const reads = newest.map((id) => () => this.#records.get(id))
      const stored = await new PQueue({ concurrency }).addAll(reads)
      const startedMeanwhile = this.#entries.values()
      const entries = [...stored.filter((entry) => entry !== undefined), ...startedMeanwhile]
      entries.sort((a, b) => compareCodeUnits(a.startedAt, b.startedAt))
      this.#entries.clear()
      for (const entry of entries) this.#remember(entry)
    })
  }

  begin({ image, revision, ref, cause }: NewBuild): RunningBuild {
    const startedAt = new Date()
    let entry: BuildEntry = {
      id: newBuildId(startedAt),
      image,
      revision,
      ...(ref === undefined ? {} : { ref }),
      cause,
      startedAt: startedAt.toISOString(),
      outcome: 'running',
      stages: {},
    }
    const change = (changes: Partial<BuildEntry>): void => {
      if (entry.outcome !== 'running') return
      entry = { ...entry, ...changes }
      // An entry that was dropped from memory, because newer ones needed its place, is not added again.
      if (this.#entries.has(entry.id)) this.#entries.set(entry.id, entry)
      if (entry.outcome !== 'running') this.#write(entry)
    }
    const end = (changes: Partial<BuildEntry>): void =>
      change({ endedAt: new Date().toISOString(), ...changes })
    this.#remember(entry)
    return {
      id: entry.id,
      stage: (name, milliseconds) =>
        change({ stages: { ...entry.stages, [name]: Math.round(milliseconds) } }),
      built: (digest) => end({ outcome: 'built', digest }),
      failed: (error) => end({ outcome: 'failed', ...failureAndLogOf(error) }),
      aborted: () => end({ outcome: 'aborted' }),
    }
  }

  recent(limit = Number.POSITIVE_INFINITY): readonly BuildEntry[] {
    return [...this.#entries.values()].reverse().slice(0, limit)
  }

  async get(id: string): Promise<BuildEntry | undefined> {
    if (!isBuildId(id)) return undefined
    return this.#entries.get(id) ?? this.#records.get(id)
  }

  /** Waits until every entry that has ended is written, or its write has failed. Never rejects. */
  async flush(): Promise<void> {
    await this.#writes.onIdle()
  }

  /** Adds an entry to memory. If there are too many, drops the oldest ended entry, or else the oldest entry. */
  #remember(entry: BuildEntry): void {
    this.#entries.set(entry.id, entry)
    if (this.#entries.size <= this.#mostInMemory) return
    const entries = [...this.#entries.values()]
    const dropped = entries.find(({ outcome }) => outcome !== 'running') ?? entries[0]
    if (dropped) this.#entries.delete(dropped.id)
  }

  #write(entry: BuildEntry): void {
    if (this.#writes.size >= mostWaiting) return
    void this.#writes.add(() =>
      this.#attempt('stored', async () => {
        await this.#records.replace(entry.id, entry)
        this.#writesUntilDeletion -= 1
        if (this.#writesUntilDeletion <= 0) await this.#deleteOldest()
      }),
    )
  }

  /** Deletes the oldest records if there are too many. @returns the ids that remain, oldest first */
  async #deleteOldest(): Promise<string[]> {
    this.#writesUntilDeletion = writesBetweenDeletions
    const ids: string[] = []
    // A key that is no build id was not written by Slipway, and is left alone.
    for await (const id of this.#records.keys()) if (isBuildId(id)) ids.push(id)
    ids.sort(compareCodeUnits)
    const surplus = ids.splice(0, Math.max(0, ids.length - this.#mostStored))
    const deletions = surplus.map((id) => () => this.#records.delete(id))
    await new PQueue({ concurrency }).addAll(deletions)
    return ids
  }

  /** Runs work on the storage. Logs the first of several failures, and the first success after them. */
  async #attempt(verb: 'read' | 'stored', work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#outage.recovered('the journal of builds can be stored again')
    } catch (error) {
      this.#outage.failed({ failure: messageOf(error) }, `the journal of builds cannot be ${verb}`)
    }
  }
}
