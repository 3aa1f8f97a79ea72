/** A git repository whose fetches end when, and as, a test says. */

import { Failure } from '../../service/image/errors.ts'
import type { GitRepository, RepositoryRefs } from '../../service/source/ports.ts'
import { RefTable } from '../../service/source/ref-table.ts'

export class FakeGit implements GitRepository {
  /** What `open` finds. */
  stored: RefTable | undefined
  /** What a fetch finds. */
  remote = new RefTable([])
  /** Whether fetches fail. */
  down = false
  /** While set, fetches wait for it. */
  gate: Promise<void> | undefined
  readonly reachable = new Set<string>()
  fetches = 0
  running = 0
  mostRunning = 0
  reachabilityQuestions = 0

  async open(): Promise<RepositoryRefs | undefined> {
    return this.stored && refsOf(this.stored)
  }

  async fetch(): Promise<RepositoryRefs> {
    this.fetches += 1
    this.running += 1
    this.mostRunning = Math.max(this.mostRunning, this.running)
    // What a fetch finds is decided when it starts.
    const { remote, down } = this
    await this.gate
    this.running -= 1
    if (down) throw new Failure('unavailable', 'git fetch failed (exit code 128): no route')
    return refsOf(remote)
  }

  /** By ref. */
  readonly dates = new Map<string, number>()
  /** Texts by `commit:path`. */
  readonly files = new Map<string, string>()

  async refDates(): Promise<ReadonlyMap<string, number>> {
    return this.dates
  }

  async readFile(commit: string, path: string): Promise<string | undefined> {
    return this.files.get(`${commit}:${path}`)
  }

  async isReachable(commit: string): Promise<boolean> {
    this.reachabilityQuestions += 1
    return this.reachable.has(commit)
  }

  async commitsStartingWith(prefix: string): Promise<string[]> {
    return [...this.reachable].filter((commit) => commit.startsWith(prefix)).sort()
  }

  async export(): Promise<void> {}
}

function refsOf({ refs, defaultBranch }: RefTable): RepositoryRefs {
  return { commits: [...refs], head: defaultBranch ?? 'refs/slipway/no-default-branch' }
}
