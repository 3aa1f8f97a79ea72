/** Refs of the package set and how far their images are: what the status page shows. */

/**
 * `stored`: a pull is answered from storage. `failed`: it does not build. `absent`: nobody has asked
 * for it yet, or it was given up.
 */
export type ImageState = 'stored' | 'building' | 'queued' | 'failed' | 'absent'

export interface RefImage {
  readonly name: string
  readonly state: ImageState
  /** Of the OCI manifest; of a stored image only. */
  readonly digest?: string
  /** Why it does not build. */
  readonly problem?: string
}

export interface RefState {
  /** In full: `refs/tags/v1`. */
  readonly ref: string
  /** Under which it is pulled: `v1`, or the slug of a name that cannot be a tag. */
  readonly tag: string
  readonly commit: string
  /** Whether its images are built before anybody asks. */
  readonly inScope: boolean
  /** The images that it should have; none where it is not in scope. */
  readonly images: readonly RefImage[]
  /** What is wrong with its `slipway.json`. */
  readonly problem?: string
}

export interface RefStateList {
  /** Those in scope first, then as a person would look for them. */
  readonly refs: readonly RefState[]
  /** How many there are in all. */
  readonly total: number
}

export interface RefStates {
  /**
   * @param limit refs to tell of, at most
   * @throws Failure unavailable
   */
  list(limit: number): Promise<RefStateList>
}
