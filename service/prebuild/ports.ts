/** Ports of the prebuild room: what it offers to other rooms, and the metrics that it reports. */

import type { ImageName } from '../image/image-name.ts'
import type { Globs } from '../text/globs.ts'

/** Refs that are prebuilt, as the settings define them. */
export interface PrebuildScope {
  readonly tags: Globs
  /** If absent, only the default branch is prebuilt. */
  readonly branches?: Globs
  /** Greatest age, in milliseconds, of a ref that was not pushed while the service ran. */
  readonly maxAge: number
}

/**
 * `stored`: a pull is answered from the storage. `failed`: the image does not build. `absent`: no build is
 * queued or running, and none has failed for good.
 */
export type ImageState = 'stored' | 'building' | 'queued' | 'failed' | 'absent'

export interface RefImage {
  readonly name: string
  readonly state: ImageState
  /** Digest of the OCI manifest, if the image is stored. */
  readonly digest?: string
  /** Why the image does not build. */
  readonly failure?: string
}

export interface RefState {
  /** Full name: `refs/tags/v1`. */
  readonly ref: string
  /** Image tag of the ref: `v1`, or the slug of a name that is no valid tag. */
  readonly tag: string
  readonly commit: string
  /** True if the images of the ref are prebuilt. */
  readonly inScope: boolean
  /** Images that the ref should have; none for a ref that is not in scope. */
  readonly images: readonly RefImage[]
  /** Why the `slipway.json` of the ref is invalid. */
  readonly failure?: string
}

export interface RefStateList {
  /** Refs in scope first, in the order in which they are prebuilt. */
  readonly refs: readonly RefState[]
  /** Number of all refs. */
  readonly total: number
}

/** States of the images of each ref. */
export interface RefStates {
  /**
   * @param limit most refs in the list
   * @throws Failure unavailable
   */
  list(limit: number): Promise<RefStateList>
}

/** Counts pulls by tag. */
export interface PullCounting {
  /** Counts a request for a manifest by tag. Does no I/O. */
  count(name: ImageName, clientAddress: string): void
}

/** `settled`: no image was missing. `queued`: missing images were added to the queue. */
export type ReconcileOutcome = 'settled' | 'queued' | 'failed'

/** Class of a waiting build: a pull, or a prebuild of a tag or a branch. */
export type QueueClass = 'pull' | 'tag' | 'branch'

/** Receives the events of the prebuild room that monitoring counts. Methods neither throw nor block. */
export interface PrebuildMetrics {
  reconciled(outcome: ReconcileOutcome): void
  /** @param length returns the number of waiting builds; called at each scrape */
  watchQueue(length: (queue: QueueClass) => number): void
}
