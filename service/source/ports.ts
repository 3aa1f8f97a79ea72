/**
 * Ports of the source room: those that git and the publisher of nixpkgs implement, and those that other rooms
 * use.
 */

/** Version of a package set to which a tag resolves. */
export interface Revision {
  /**
   * Full commit id; for a live folder, hash of the evaluation's result. Image keys and records contain it.
   */
  readonly id: string
  /** Full name of the ref that the tag named (`refs/tags/v1`), or a channel; absent if the tag was a commit id. */
  readonly ref?: string
  /**
   * Folder that is evaluated in place and may change at any time, so the id is meaningful only after the
   * evaluation. Absent for a pinned revision.
   */
  readonly liveFolder?: string
}

export interface SourceStatus {
  /** True as soon as tags can be resolved. */
  readonly ready: boolean
  /** Time of the last successful read of the source, ISO 8601. */
  readonly refreshedAt?: string
  /** Why the newest read of the source failed; absent if it succeeded. */
  readonly failure?: string
}

/** Versions of a package set. Each kind of source implements this interface. */
export interface Source {
  /**
   * Resolves a tag. A known tag is resolved from memory.
   * @throws Failure manifest-unknown, with the nearest tags; unavailable, if the source cannot be read
   */
  resolve(tag: string): Promise<Revision>
  /**
   * Object that is replaced whenever a tag may resolve to another revision. Absent if a tag may resolve to
   * another revision at any time.
   */
  readonly version?: object | undefined
  /** Lists all tags that can be pulled, in byte order. */
  tags(): readonly string[]
  /** Writes the tree of a revision into an empty folder. */
  export(revision: Revision, folder: string): Promise<void>
  status(): SourceStatus
}

/** Branches and tags of a repository at one moment. Immutable. */
export interface Refs {
  /** Full ref name → full commit id, of branches and tags. */
  readonly refs: ReadonlyMap<string, string>
  /** Full name of the remote's default branch, if it has one that exists. */
  readonly defaultBranch: string | undefined
  /** Resolves a tag by names only, not by commit ids. */
  resolve(tag: string): Revision | undefined
  /** Returns the image tag of a ref: its name or slug. Undefined if that tag resolves to another commit. */
  tagOf(ref: string): string | undefined
}

/** A source with branches and tags. */
export interface RefSource {
  /** Refs of the last successful fetch; undefined before it. */
  readonly refs: Refs | undefined
  /**
   * Waits for a fetch that starts after this call.
   * @throws Failure unavailable; `refs` then stays as it is
   */
  refresh(): Promise<void>
}

/** Branches, tags and HEAD of a repository. */
export interface RepositoryRefs {
  /** Full ref name, and full id of the commit that it leads to. */
  readonly commits: readonly (readonly [ref: string, commit: string])[]
  /** Full name of the ref that HEAD names. The ref may not exist. */
  readonly head: string
}

/** Local mirror of the branches and tags of one remote repository. */
export interface GitRepository extends CommittedFiles {
  /** Returns the refs of the last fetch of an earlier run; undefined if there is no usable mirror. */
  open(): Promise<RepositoryRefs | undefined>
  /**
   * Fetches and returns the refs. Two fetches must not run at the same time.
   * @throws Failure unavailable, with git's own message and no secret
   */
  fetch(): Promise<RepositoryRefs>
  /** Returns whether a commit, given by its full id, is reachable from a branch or tag. */
  isReachable(commit: string): Promise<boolean>
  /** Returns the full ids of the reachable commits whose id begins with these hex digits. */
  commitsStartingWith(prefix: string): Promise<string[]>
  /**
   * Writes the tree of a commit, as it was committed, into an empty folder.
   * @throws Failure unavailable
   */
  export(commit: string, folder: string): Promise<void>
}

/** Reads files and dates from a mirror, for prebuilds. */
export interface CommittedFiles {
  /**
   * Returns the date of each ref by its full name, in milliseconds since 1970: the date of an annotated tag
   * itself, else of the commit.
   */
  refDates(): Promise<ReadonlyMap<string, number>>
  /** Returns the text of a file at a commit; undefined if there is none, or it is too large. */
  readFile(commit: string, path: string): Promise<string | undefined>
}

/** Publisher of nixpkgs: resolves channels, checks commits and serves their trees. */
export interface ChannelServer {
  /**
   * Returns the full id of the channel's current commit; undefined if there is no such channel.
   * @throws Failure unavailable
   */
  resolve(channel: string): Promise<string | undefined>
  /**
   * Returns whether a full commit id is in the history of one of these branches.
   * @throws Failure unavailable
   */
  isReachable(commit: string, branches: readonly string[]): Promise<boolean>
  /**
   * Writes the tree of a commit into an empty folder. After an error the folder may contain a part of the
   * tree.
   * @throws Failure unavailable; manifest-unknown if there is no such commit
   */
  download(commit: string, folder: string): Promise<void>
  /**
   * Sets the commits whose downloaded trees are kept, for times when the publisher is out of reach. They
   * replace the commits of the previous call.
   */
  keep(commits: readonly string[]): void
}

/** Recognises the tracked repository by the URLs that webhooks send. */
export interface TrackedRepository {
  /** Returns whether a clone URL means the tracked repository. */
  isNamedBy(url: string): boolean
  /** Returns clone URLs for a message, without credentials. */
  describe(urls: readonly string[]): string
  /** URLs of the tracked repository for a message, without credentials. */
  readonly description: string
}

export type FetchOutcome = 'fetched' | 'failed'

/** Metrics of the source room. Its methods do not throw and do not wait. */
export interface SourceMetrics {
  /** @param seconds duration of the fetch */
  fetched(outcome: FetchOutcome, seconds: number): void
}
