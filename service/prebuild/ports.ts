/** What the prebuild room offers to other rooms. */

import type { ImageName } from '../image/image-name.ts'
import type { Globs } from '../text/globs.ts'

/** Which refs the settings let prebuild. */
export interface PrebuildScope {
  readonly tags: Globs
  /** Absent for the default branch alone. */
  readonly branches?: Globs
  /** Milliseconds: how old a ref may be that was not seen to be pushed. */
  readonly maxAge: number
}

/**
 * `stored`: a pull is answered from storage. `failed`: it does not build. `absent`: it has not been
 * asked for yet, or was given up.
 */
export type ImageState = 'stored' | 'building' | 'queued' | 'failed' | 'absent'

export interface RefImage {
  readonly name: string
  readonly state: ImageState
  /** Of the OCI manifest; of a stored image only. */
  readonly digest?: string
  /** Why it does not build. */
  readonly failure?: string
}

export interface RefState {
  /** In full: `refs/tags/v1`. */
  readonly ref: string
  /** The tag under which it is pulled: `v1`, or the slug of a name that cannot be a tag. */
  readonly tag: string
  readonly commit: string
  /** Whether its images are prebuilt. */
  readonly inScope: boolean
  /** The images that it should have; none where it is not in scope. */
  readonly images: readonly RefImage[]
  /** What is wrong with its `slipway.json`. */
  readonly failure?: string
}

export interface RefStateList {
  /** Those in scope first, then as a person would look for them. */
  readonly refs: readonly RefState[]
  /** How many there are in all. */
  readonly total: number
}

/** How far the images of each ref are. */
export interface RefStates {
  /**
   * @param limit most refs in the list
   * @throws Failure unavailable
   */
  list(limit: number): Promise<RefStateList>
}

/** Counts pulls by tag. */
export interface PullCounting {
  /** Counts a request for a manifest by tag. No I/O. */
  count(name: ImageName, clientAddress: string): void
}

/** `settled`: nothing was missing. `queued`: something was, and builds were queued. */
export type ReconcileOutcome = 'settled' | 'queued' | 'failed'

/** What waits for a build: a pull, or a prebuild for a tag or a branch. */
export type QueueClass = 'pull' | 'tag' | 'branch'

/** What the prebuild room reports to monitoring. Never fails, never waits. */
export interface PrebuildMetrics {
  reconciled(outcome: ReconcileOutcome): void
  /** @param length called at each scrape: builds that have not started */
  watchQueue(length: (queue: QueueClass) => number): void
}
