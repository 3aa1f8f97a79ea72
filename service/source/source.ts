/** Where the package set comes from, and what a tag of it means. */

/** What a tag resolves to. */
export interface Revision {
  /** A full commit id, or of a live folder what it was evaluated to: what keys and records are given. */
  readonly id: string
  /** The ref that the tag named, in full (`refs/tags/v1`); absent for a bare commit. */
  readonly ref?: string
  /**
   * A folder that is evaluated where it is and may change at any time: its id says nothing until it
   * has been evaluated. Absent for a revision that is pinned.
   */
  readonly liveFolder?: string
}

export interface SourceStatus {
  /** Whether tags can be resolved at all. */
  readonly ready: boolean
  /** When the source was last read without error, ISO 8601. */
  readonly refreshedAt?: string
  /** Why the newest attempt to read it failed; absent when it did not. */
  readonly problem?: string
}

/** The package set's versions. Implemented per kind of source. */
export interface Source {
  /**
   * What a tag means now. A known tag is answered from memory.
   * @throws Failure manifest-unknown, with the nearest refs; unavailable, if the source could not be asked
   */
  resolve(tag: string): Promise<Revision>
  /** Changes whenever a tag may have come to mean something else; absent if only `resolve` can tell. */
  readonly version?: object | undefined
  /** All tags that can be pulled, in byte order. */
  tags(): readonly string[]
  /** Writes the tree of a revision into an empty folder. */
  export(revision: Revision, folder: string): Promise<void>
  status(): SourceStatus
}
