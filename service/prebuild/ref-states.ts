/** States of the images of each ref, for the status page and the API. */

import PQueue from 'p-queue'
import type { BuildFailures } from '../build/ports.ts'
import type { CommittedFiles, RefSource } from '../source/ports.ts'
import type { ImageRecord, RecordStore } from '../storage/ports.ts'
import type { DesiredImage, DesiredImages } from './desired-images.ts'
import type { PrebuildScope, RefImage, RefState, RefStateList, RefStates } from './ports.ts'
import type { PrebuildQueue } from './prebuild-queue.ts'
import { refsInScope } from './refs-in-scope.ts'

/** Most records read at a time, for all requests: a client may request ten thousand refs, and often. */
const lookups = 16

export interface RefStatesOptions {
  readonly source: RefSource
  readonly repository: CommittedFiles
  readonly desired: DesiredImages
  readonly images: RecordStore<ImageRecord>
  readonly queue: PrebuildQueue
  readonly failures: BuildFailures
  readonly scope: PrebuildScope
}

export class GitRefStates implements RefStates {
  readonly #options: RefStatesOptions
  readonly #lookups = new PQueue({ concurrency: lookups })

  constructor(options: RefStatesOptions) {
    this.#options = options
  }

  async list(limit: number): Promise<RefStateList> {
    const { source, repository, desired, scope } = this.#options
    const table = source.refs
    if (table === undefined) return { refs: [], total: 0 }
    const dates = await repository.refDates()
    const anyAge = { ...scope, maxAge: Number.POSITIVE_INFINITY }
    const inScope = refsInScope({ table, dates, scope: anyAge, now: Date.now() })
    const listed = await desired.of(inScope.slice(0, limit))
    const states = await this.#statesOf(listed.flatMap(({ images }) => images))
    const refs = listed.map(({ ref: { ref, commit }, images, failure }): RefState => {
      return {
        ref,
        tag: table.tagOf(ref) ?? commit,
        commit,
        inScope: true,
        images: images.map(({ imageKey, name }) => {
          return { name: name.text, ...(states.get(imageKey) ?? absent) }
        }),
        ...(failure === undefined ? {} : { failure: failure.message }),
      }
    })
    const known = new Set(inScope.map(({ ref }) => ref))
    const others = table.refs.entries().filter(([ref]) => !known.has(ref))
    for (const [ref, commit] of others.take(limit - refs.length)) {
      refs.push({ ref, tag: table.tagOf(ref) ?? commit, commit, inScope: false, images: [] })
    }
    return { refs, total: table.refs.size }
  }

  /** Returns the states by image key. Several refs may have the same images. */
  async #statesOf(images: readonly DesiredImage[]): Promise<ReadonlyMap<string, State>> {
    const states = new Map<string, State>()
    const keys = new Set(images.map(({ imageKey }) => imageKey))
    const reads = [...keys].map((key) => async () => states.set(key, await this.#stateOf(key)))
    await this.#lookups.addAll(reads)
    return states
  }

  async #stateOf(imageKey: string): Promise<State> {
    const { images, queue, failures } = this.#options
    const record = await images.get(imageKey)
    if (record !== undefined) return { state: 'stored', digest: record.oci.digest }
    const state = queue.stateOf(imageKey)
    if (state !== undefined) return { state }
    const failure = failures.get(imageKey, 'prebuild')
    return failure === undefined ? absent : { state: 'failed', failure: failure.message }
  }
}

type State = Omit<RefImage, 'name'>

const absent: State = { state: 'absent' }
