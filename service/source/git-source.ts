/**
 * Package set in a git repository. Tags are resolved by the refs of the last fetch, which are kept in memory.
 * `FetchSchedule` decides when the next fetch runs.
 */

import { LRUCache } from 'lru-cache'
import { Failure, messageOf } from '../image/errors.ts'
import { isAbbreviatedCommitId, isFullCommitId } from '../image/reference.ts'
import { OutageLog } from '../telemetry/outage-log.ts'
import type { Log } from '../telemetry/ports.ts'
import { FetchSchedule, fetchRetryAfter } from './fetch-schedule.ts'
import type {
  GitRepository,
  RepositoryRefs,
  Revision,
  Source,
  SourceMetrics,
  SourceStatus,
} from './ports.ts'
import { RefTable } from './ref-table.ts'
import { unknownTagFailure } from './unknown-tag-failure.ts'

/** Enough for a month of pulls by commit; an entry takes a few hundred bytes. */
const commitsCached = 10_000

export interface GitSourceOptions {
  readonly repository: GitRepository
  readonly log: Log
  /** Seconds between fetches by the timer; 0 turns the timer off. */
  readonly pollInterval: number
  readonly metrics?: SourceMetrics
  /** Called after each ref table that differs from the one before it, and after the first one. */
  readonly onRefs?: () => void
  /** Milliseconds between the starts of fetches for unknown tags. @default 2000 */
  readonly unknownTagInterval?: number
}

/** Ref table, and git's answers about commits while this table was current. */
interface Snapshot {
  readonly table: RefTable
  readonly reachable: LRUCache<string, Promise<boolean>>
  readonly abbreviations: LRUCache<string, Promise<string[]>>
}

export class GitSource implements Source {
  readonly #options: GitSourceOptions
  readonly #schedule: FetchSchedule
  #snapshot: Snapshot | undefined
  #refreshedAt: string | undefined
  #failure: string | undefined
  readonly #outage: OutageLog

  constructor(options: GitSourceOptions) {
    this.#options = options
    this.#outage = new OutageLog(options.log)
    this.#schedule = new FetchSchedule({ ...options, fetch: () => this.#fetch() })
  }

  /**
   * Serves the refs of the existing mirror and fetches in the background; without a mirror, waits for the
   * first fetch.
   * @throws Failure unavailable if there is no mirror and the first fetch fails
   */
  async start(): Promise<void> {
    const refs = await this.#options.repository.open()
    if (refs) this.#adopt(refs)
    await this.#schedule.start(refs ? 'background' : 'awaited')
  }

  /** Starts no further fetch and fails all requests that wait for one. A running fetch goes on. */
  stop(): void {
    this.#schedule.stop()
  }

  /**
   * Waits for a fetch that starts after this call. However many callers wait, one fetch runs and one is
   * queued.
   * @throws Failure unavailable; the ref table then stays as it is
   */
  refresh(): Promise<void> {
    return this.#schedule.refresh()
  }

  /** Current ref table; undefined before the first fetch. */
  get refs(): RefTable | undefined {
    return this.#snapshot?.table
  }

  get version(): object | undefined {
    return this.#snapshot
  }

  async resolve(tag: string): Promise<Revision> {
    const known = await this.#find(tag)
    if (known) return known
    const isKnown = () => this.refs?.resolve(tag) !== undefined
    await this.#schedule.fetchUnknownTag(isKnown).catch((error) => {
      throw new Failure(
        'unavailable',
        `tag "${tag}" is not known here, and git could not be fetched to look for it: ${messageOf(error)}`,
        { retryAfter: fetchRetryAfter, cause: error },
      )
    })
    const found = await this.#find(tag)
    if (found) return found
    throw this.#unknownTagFailure(tag)
  }

  tags(): readonly string[] {
    return this.refs?.tags() ?? []
  }

  export(revision: Revision, folder: string): Promise<void> {
    return this.#options.repository.export(revision.id, folder)
  }

  status(): SourceStatus {
    return {
      ready: this.#snapshot !== undefined,
      ...(this.#refreshedAt === undefined ? {} : { refreshedAt: this.#refreshedAt }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    }
  }

  /**
   * Resolves a tag without a fetch: as a full commit id, then as a name, then as an abbreviated commit id.
   */
  async #find(tag: string): Promise<Revision | undefined> {
    const snapshot = this.#snapshot
    if (!snapshot) return undefined
    const { repository } = this.#options
    if (isFullCommitId(tag)) {
      const id = tag.toLowerCase()
      if (await cached(snapshot.reachable, id, () => repository.isReachable(id))) return { id }
    }
    const named = snapshot.table.resolve(tag)
    if (named || !isAbbreviatedCommitId(tag)) return named
    const prefix = tag.toLowerCase()
    const ids = await cached(snapshot.abbreviations, prefix, () =>
      repository.commitsStartingWith(prefix),
    )
    if (ids.length > 1) throw ambiguousCommit(tag, ids)
    return ids[0] === undefined ? undefined : { id: ids[0] }
  }

  #unknownTagFailure(tag: string): Failure {
    return unknownTagFailure(
      tag,
      this.tags(),
      tag === 'latest'
        ? 'the git repository of the package set has no default branch, so there is no "latest"'
        : `"${tag}" is no tag, branch or reachable commit of the package set's git repository`,
    )
  }

  async #fetch(): Promise<void> {
    const { repository, metrics } = this.#options
    const start = performance.now()
    const seconds = () => (performance.now() - start) / 1000
    try {
      this.#adopt(await repository.fetch())
      metrics?.fetched('fetched', seconds())
      this.#refreshedAt = new Date().toISOString()
      this.#outage.recovered('git can be fetched again')
      this.#failure = undefined
    } catch (error) {
      metrics?.fetched('failed', seconds())
      const failure = messageOf(error)
      // Without refs, the caller of start() reports the failure.
      if (this.#snapshot) {
        this.#outage.failed(
          { failure },
          'git cannot be fetched; the refs of the last fetch are still served',
        )
      }
      this.#failure = failure
      throw error
    }
  }

  #adopt({ commits, head }: RepositoryRefs): void {
    const table = new RefTable(commits, head)
    const previous = this.#snapshot?.table
    if (previous?.equals(table)) return
    this.#snapshot = {
      table,
      reachable: new LRUCache({ max: commitsCached }),
      abbreviations: new LRUCache({ max: commitsCached }),
    }
    this.#options.onRefs?.()
  }
}

/** Returns the cached promise, or calls `ask` and caches its promise. A rejected promise is not kept. */
function cached<V>(
  cache: LRUCache<string, Promise<V>>,
  key: string,
  ask: () => Promise<V>,
): Promise<V> {
  const known = cache.get(key)
  if (known) return known
  const answer = ask()
  cache.set(key, answer)
  answer.catch(() => cache.delete(key))
  return answer
}

function ambiguousCommit(tag: string, ids: readonly string[]): Failure {
  return new Failure(
    'manifest-unknown',
    `"${tag}" is the beginning of ${ids.length} commit ids; write more of one: ${ids.join(', ')}`,
    { detail: { tag, candidates: ids } },
  )
}
