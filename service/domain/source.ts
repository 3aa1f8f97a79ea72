/** Where the package set comes from, and what a tag of it means. */

/** What a tag resolves to. */
export interface Revision {
  /** Full commit id of the git source: all that Nix, records and keys are ever given. */
  readonly id: string
  /** The ref that the tag named, in full (`refs/tags/v1`); absent for a bare commit. */
  readonly ref?: string
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
  /** All tags that can be pulled, in byte order. */
  tags(): readonly string[]
  /** Writes the tree of a revision into an empty folder. */
  export(revision: Revision, folder: string): Promise<void>
  status(): SourceStatus
}
