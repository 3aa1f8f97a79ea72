/** How far the images of each ref are: what the status page and the API show. */

import PQueue from 'p-queue'
import { Failure } from '../image/errors.ts'
import { imageKey, type Recipe } from '../image/keys.ts'
import { shortRefName, slugOf } from '../image/ref-name.ts'
import { isTag } from '../image/reference.ts'
import type { CommittedFiles, RefSource, Refs } from '../source/ports.ts'
import type { ImageRecord, RecordStore } from '../storage/ports.ts'
import { type DesiredImage, imagesOf, refsInScope } from './desired-images.ts'
import type { FailedPrebuilds } from './failed-prebuilds.ts'
import type { PrebuildScope, RefImage, RefState, RefStateList, RefStates } from './ports.ts'
import type { Prebuilds } from './prebuilds.ts'
import type { PullCounter } from './pull-counter.ts'
import { prebuildConfigPath, readPrebuildConfig } from './slipway-json.ts'

/** Refs looked at a time, each with processes of git: anybody can ask for ten thousand, and often. */
const looks = 4

export interface RefStatesOptions {
  readonly source: RefSource
  readonly repository: CommittedFiles
  readonly images: RecordStore<ImageRecord>
  readonly pulls: PullCounter
  readonly prebuilds: Prebuilds
  readonly failed: FailedPrebuilds
  readonly scope: PrebuildScope
  readonly popular: number
  readonly recipe: Recipe
}

export class GitRefStates implements RefStates {
  readonly #options: RefStatesOptions
  readonly #looks = new PQueue({ concurrency: looks })

  constructor(options: RefStatesOptions) {
    this.#options = options
  }

  async list(limit: number): Promise<RefStateList> {
    const { source, repository, scope } = this.#options
    const table = source.refs
    if (table === undefined) return { refs: [], total: 0 }
    const dates = await repository.refDates()
    const question = { table, dates, scope: { ...scope, maxAge: Number.POSITIVE_INFINITY } }
    const wanted = refsInScope({ ...question, now: Date.now() })
    const inScope = new Set(wanted.map(({ ref }) => ref))
    const others = [...table.refs].filter(([ref]) => !inScope.has(ref))
    const listed = [
      ...wanted.map(({ ref, commit }) => ({ ref, commit, inScope: true })),
      ...others.map(([ref, commit]) => ({ ref, commit, inScope: false })),
    ].slice(0, limit)
    return {
      refs: await this.#looks.addAll(listed.map((ref) => () => this.#state(ref, table))),
      total: table.refs.size,
    }
  }

  async #state(
    found: { ref: string; commit: string; inScope: boolean },
    table: Refs,
  ): Promise<RefState> {
    const state = { ...found, tag: tagOf(found.ref, found.commit, table) }
    if (!found.inScope) return { ...state, images: [] }
    const { images, failure } = await this.#desired(found.ref, found.commit)
    const states = await Promise.all(images.map((image) => this.#image(image)))
    return { ...state, images: states, ...(failure === undefined ? {} : { failure }) }
  }

  async #desired(
    ref: string,
    commit: string,
  ): Promise<{ images: readonly DesiredImage[]; failure?: string }> {
    const { repository, pulls, popular } = this.#options
    const mostPulled = pulls.mostPulled(popular)
    const inScope = { ref, commit, cause: 'found' } as const
    const text = await repository.readFile(commit, prebuildConfigPath)
    try {
      const config = text === undefined ? undefined : readPrebuildConfig(text)
      return { images: imagesOf(inScope, config, mostPulled) }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      return { images: imagesOf(inScope, undefined, mostPulled), failure: error.message }
    }
  }

  async #image({ commit, name }: DesiredImage): Promise<RefImage> {
    const { images, prebuilds, failed, recipe } = this.#options
    const key = imageKey({ id: commit }, name, recipe)
    const record = await images.get(key)
    if (record !== undefined) return { name: name.text, state: 'stored', digest: record.oci.digest }
    const state = prebuilds.stateOf(key)
    if (state !== undefined) return { name: name.text, state }
    const failure = failed.get(key)
    if (failure === undefined) return { name: name.text, state: 'absent' }
    return { name: name.text, state: 'failed', failure: failure.message }
  }
}

/** The ref's own name, or its slug; the commit id where another ref has that name or slug. */
function tagOf(ref: string, commit: string, table: Refs): string {
  const shortName = shortRefName(ref)
  const tag = isTag(shortName) ? shortName : slugOf(shortName)
  return table.resolve(tag)?.id === commit ? tag : commit
}
