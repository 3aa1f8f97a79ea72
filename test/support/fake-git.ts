/** Git repository in memory. A test decides when and how its fetches end. */

import { Failure } from '../../service/image/errors.ts'
import type { GitRepository, RepositoryRefs } from '../../service/source/ports.ts'
import { RefTable } from '../../service/source/ref-table.ts'

export class FakeGit implements GitRepository {
  /** Refs of the mirror: `open` returns them, and a fetch replaces them. */
  stored: RefTable | undefined
  /** Refs of the remote. */
  remote = new RefTable([])
  /** Makes fetches fail. */
  down = false
  /** If set, fetches wait for it. */
  gate: Promise<void> | undefined
  readonly reachable = new Set<string>()
  fetches = 0
  running = 0
  mostRunning = 0
  reachabilityQuestions = 0
  /** Dates by full ref name. */
  readonly dates = new Map<string, number>()
  /** Texts by `commit:path`. */
  readonly files = new Map<string, string>()
  /** Reads of files, as `commit:path`, in order. */
  readonly reads: string[] = []
  /** Called before each read of dates or of a file; may wait or throw. */
  before: (operation: 'refDates' | 'readFile') => void | Promise<void> = () => {}

  async open(): Promise<RepositoryRefs | undefined> {
    return this.stored && refsOf(this.stored)
  }

  async fetch(): Promise<RepositoryRefs> {
    this.fetches += 1
    this.running += 1
    this.mostRunning = Math.max(this.mostRunning, this.running)
    // A fetch returns the refs of the moment when it starts.
    const { remote, down } = this
    await this.gate
    this.running -= 1
    if (down) throw new Failure('unavailable', 'git fetch failed (exit code 128): no route')
    this.stored = remote
    return refsOf(remote)
  }

  async refDates(): Promise<ReadonlyMap<string, number>> {
    await this.before('refDates')
    return this.dates
  }

  /** Takes at least one turn of the event loop, like a read by a process. */
  async readFile(commit: string, path: string): Promise<string | undefined> {
    this.reads.push(`${commit}:${path}`)
    await this.before('readFile')
    await new Promise(setImmediate)
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
