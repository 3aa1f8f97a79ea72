/** What the git source needs of a git repository: its refs, and the trees behind them. */
import type { RefTable } from './ref-table.ts'

/** A local mirror of the branches and tags of one remote repository. */
export interface GitRepository {
  /** The refs as they were last fetched; undefined when nothing usable has been fetched yet. */
  open(): Promise<RefTable | undefined>
  /**
   * Brings the mirror up to date. Not to be called again before it has ended.
   * @throws Failure unavailable, with git's own words and no secret
   */
  fetch(): Promise<RefTable>
  /** Whether the full id is that of a commit that a branch or tag leads to. */
  isReachable(commit: string): Promise<boolean>
  /** Full ids of the reachable commits whose id begins with these hex digits. */
  commitsStartingWith(prefix: string): Promise<string[]>
  /** Full ref name → when its tag was made, else its commit; milliseconds since 1970. */
  refDates(): Promise<ReadonlyMap<string, number>>
  /** The text of a file at a commit; undefined if there is none, or it is no text of a sensible size. */
  readFile(commit: string, path: string): Promise<string | undefined>
  /**
   * Writes the tree of a commit, as it was committed, into an empty folder.
   * @throws Failure unavailable
   */
  export(commit: string, folder: string): Promise<void>
}
