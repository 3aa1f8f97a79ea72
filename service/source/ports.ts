/** What the source room needs of git and of nixpkgs' publisher, and what it offers to other rooms. */

/** What a tag resolves to. */
export interface Revision {
  /** A full commit id; for a live folder, a hash of what it was evaluated to. Keys and records hold it. */
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
  readonly failure?: string
}

/** The versions of a package set. Implemented once for each kind of source. */
export interface Source {
  /**
   * Resolves a tag. A known tag is answered from memory.
   * @throws Failure manifest-unknown, with the nearest refs; unavailable, if the source cannot be asked
   */
  resolve(tag: string): Promise<Revision>
  /** Changes whenever a tag may resolve to something else; absent if only `resolve` can tell. */
  readonly version?: object | undefined
  /** Lists all tags that can be pulled, in byte order. */
  tags(): readonly string[]
  /** Writes the tree of a revision into an empty folder. */
  export(revision: Revision, folder: string): Promise<void>
  status(): SourceStatus
}

/** Branches and tags at one moment, and what each tag resolves to by them. Immutable. */
export interface Refs {
  /** Full ref name → full commit id, of branches and tags. */
  readonly refs: ReadonlyMap<string, string>
  /** Full name of the remote's default branch, if it has one that exists. */
  readonly defaultBranch: string | undefined
  /** Resolves a tag by names alone, without commit ids. */
  resolve(tag: string): Revision | undefined
  /** Returns the image tag of a ref: its name or slug. Undefined if that tag resolves to another commit. */
  tagOf(ref: string): string | undefined
}

/** A source with branches and tags. */
export interface RefSource {
  /** The refs that are in force; undefined before the first fetch. */
  readonly refs: Refs | undefined
  /**
   * Fetches the remote's refs, by a fetch that starts after this call.
   * @throws Failure unavailable; the last refs then stay in force
   */
  refresh(): Promise<void>
}

/** Branches and tags as they stand in a repository. */
export interface RepositoryRefs {
  /** Full ref name, and full id of the commit that it leads to. */
  readonly commits: readonly (readonly [ref: string, commit: string])[]
  /** Full name of the ref that HEAD names; it need not exist. */
  readonly head: string
}

/** A local mirror of the branches and tags of one remote repository. */
export interface GitRepository extends CommittedFiles {
  /** Returns the refs as they were last fetched; undefined when nothing usable has been fetched yet. */
  open(): Promise<RepositoryRefs | undefined>
  /**
   * Brings the mirror up to date. Must not be called again before it has ended.
   * @throws Failure unavailable, with git's own words and no secret
   */
  fetch(): Promise<RepositoryRefs>
  /** Returns whether a full id is that of a commit that a branch or tag leads to. */
  isReachable(commit: string): Promise<boolean>
  /** Returns the full ids of the reachable commits whose id begins with these hex digits. */
  commitsStartingWith(prefix: string): Promise<string[]>
  /**
   * Writes the tree of a commit, as it was committed, into an empty folder.
   * @throws Failure unavailable
   */
  export(commit: string, folder: string): Promise<void>
}

/** Reads of a mirror that prebuilds need. */
export interface CommittedFiles {
  /** Returns, by full ref name, when its tag was made, else its commit: milliseconds since 1970. */
  refDates(): Promise<ReadonlyMap<string, number>>
  /** Returns the text of a file at a commit; undefined if there is none, or it is too large. */
  readFile(commit: string, path: string): Promise<string | undefined>
}

const nixpkgsCommit = /^[0-9a-f]{40}$/i

/** Returns whether the text is a full commit id of nixpkgs, a SHA-1 repository: 40 hex digits. */
export function isNixpkgsCommit(text: string): boolean {
  return nixpkgsCommit.test(text)
}

/** Where channels, their commits and the trees of these come from. */
export interface ChannelServer {
  /**
   * Returns the full id of the commit that the channel is at; undefined if there is no such channel.
   * @throws Failure unavailable
   */
  resolve(channel: string): Promise<string | undefined>
  /**
   * Returns whether a full commit id is in the history of one of these branches.
   * @throws Failure unavailable
   */
  isReachable(commit: string, branches: readonly string[]): Promise<boolean>
  /**
   * Writes the tree of a commit into an empty folder, which after an error may hold a part of it.
   * @throws Failure unavailable; manifest-unknown if there is no such commit
   */
  download(commit: string, folder: string): Promise<void>
  /**
   * Names the commits whose trees, once downloaded, are kept for when the publisher is out of reach.
   * They replace those that were named before.
   */
  keep(commits: readonly string[]): void
}

/** Matches the URLs by which webhooks name a repository. */
export interface TrackedRepository {
  /** Returns whether a clone URL means the tracked repository. */
  isNamedBy(url: string): boolean
  /** Returns clone URLs as a message may show them: without credentials. */
  describe(urls: readonly string[]): string
  /** The tracked repository's own URLs, as a message may show them. */
  readonly description: string
}

export type FetchOutcome = 'fetched' | 'failed'

/** What the source room reports to monitoring. Never fails, never waits. */
export interface SourceMetrics {
  /** @param seconds that the fetch took */
  fetched(outcome: FetchOutcome, seconds: number): void
}
