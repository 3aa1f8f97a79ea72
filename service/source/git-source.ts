/**
 * The package set in a git repository. Tags are answered from a ref table in memory, which a timer,
 * webhooks (`refresh`) and requests for unknown tags renew.
 */

import { LRUCache } from 'lru-cache'
import { Failure, messageOf } from '../image/errors.ts'
import { isAbbreviatedCommitId, isFullCommitId } from '../image/reference.ts'
import type { Log } from '../telemetry/ports.ts'
import { nearest } from '../text/nearest.ts'
import type {
  GitRepository,
  RepositoryRefs,
  Revision,
  Source,
  SourceMetrics,
  SourceStatus,
} from './ports.ts'
import { RefTable } from './ref-table.ts'

/** Milliseconds: asking for tags that do not exist must not become a load on the remote. */
const defaultUnknownTagInterval = 2000
/** Milliseconds after a start with a mirror: those who wait for the service come first. */
const startDelay = 200
/** Milliseconds that a fetch waits for others who ask for the same new tag at the same moment. */
const gatheringTime = 20
/** Seconds; a failed fetch is not worth repeating sooner. */
const fetchRetryAfter = 5
/** A commit id takes a few hundred bytes: what a month of pulls by commit needs. */
const commitsCached = 10_000
const namesSuggested = 3

export interface GitSourceOptions {
  readonly repository: GitRepository
  readonly log: Log
  /** Seconds between fetches; 0 turns the timer off. */
  readonly pollInterval: number
  readonly metrics?: SourceMetrics
  /** Told of each table that differs from the one before it, the first one included. */
  readonly onRefs?: (table: RefTable, previous: RefTable | undefined) => void
  /** Milliseconds between the starts of fetches for unknown tags. @default 2000 */
  readonly unknownTagInterval?: number
}

/** A table and what was found out about commits while it was in force. */
interface Snapshot {
  readonly table: RefTable
  readonly reachable: LRUCache<string, Promise<boolean>>
  readonly abbreviations: LRUCache<string, Promise<string[]>>
}

export class GitSource implements Source {
  readonly #options: GitSourceOptions
  #snapshot: Snapshot | undefined
  #refreshedAt: string | undefined
  #failure: string | undefined
  #pollTimer: NodeJS.Timeout | undefined
  #stopped = false

  /** The fetch that runs, and the one that starts after it. */
  #running: Promise<void> | undefined
  #queued: Promise<void> | undefined
  /** The next fetch to start, for those who wait for an unknown tag; absent while nobody does. */
  #awaited: PromiseWithResolvers<void> | undefined
  #permitTimer: NodeJS.Timeout | undefined
  #firstFetch: NodeJS.Timeout | undefined
  #permittedAt = 0

  constructor(options: GitSourceOptions) {
    this.#options = options
  }

  /**
   * Serves the mirror that is there and fetches in the background, or waits for the first fetch.
   * @throws Failure unavailable if there is no mirror and the first fetch fails
   */
  async start(): Promise<void> {
    const refs = await this.#options.repository.open()
    if (refs) this.#adopt(refs)
    if (this.#stopped) return
    if (refs) this.#firstFetch = setTimeout(() => this.refresh().catch(() => {}), startDelay)
    else await this.refresh()
    if (this.#options.pollInterval <= 0 || this.#stopped) return
    this.#pollTimer = setInterval(() => {
      if (!this.#running) this.refresh().catch(() => {})
    }, this.#options.pollInterval * 1000).unref()
  }

  /** No fetch starts any more, and nobody waits for one. The one that runs is not ended by this. */
  stop(): void {
    this.#stopped = true
    clearInterval(this.#pollTimer)
    clearTimeout(this.#firstFetch)
    clearTimeout(this.#permitTimer)
    this.#awaited?.reject(stopped())
    this.#awaited = undefined
  }

  /**
   * Reads the remote's refs anew, by a fetch that starts after this call. However many ask, one
   * fetch runs and one waits.
   * @throws Failure unavailable; the last table then stays in force
   */
  refresh(): Promise<void> {
    if (!this.#running) return this.#fetch()
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = undefined
        return this.#fetch()
      })
    return this.#queued
  }

  /** The table in force; undefined before the first one. */
  get refs(): RefTable | undefined {
    return this.#snapshot?.table
  }

  get version(): object | undefined {
    return this.#snapshot
  }

  async resolve(tag: string): Promise<Revision> {
    const known = await this.#find(tag)
    if (known) return known
    await this.#newsOf(tag).catch((error) => {
      throw new Failure(
        'unavailable',
        `"${tag}" is not known here, and git could not be asked for it: ${messageOf(error)}`,
        { retryAfter: fetchRetryAfter, cause: error },
      )
    })
    return (await this.#find(tag)) ?? this.#refuse(tag)
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

  /** What the tag means by the table in force: full commit id, then names, then an abbreviated id. */
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
    if (ids.length > 1) throw ambiguous(tag, ids)
    return ids[0] === undefined ? undefined : { id: ids[0] }
  }

  /**
   * Waits for the next permitted fetch, or only for the one that runs already if that brings the tag.
   * @throws what the fetch throws
   */
  async #newsOf(tag: string): Promise<void> {
    const next = this.#nextPermittedFetch()
    if (this.#running) {
      await Promise.race([next, this.#running.catch(() => {})])
      if (this.refs?.resolve(tag)) return
    }
    await next
  }

  #refuse(tag: string): never {
    const near = nearest(tag, this.tags(), namesSuggested)
    const hint = near.length > 0 ? `; the nearest: ${near.join(', ')}` : ''
    const reason =
      tag === 'latest'
        ? 'the git repository of the package set has no default branch, so there is no "latest"'
        : `"${tag}" is no tag, branch or reachable commit of the package set's git repository`
    throw new Failure('manifest-unknown', reason + hint, { detail: { tag, nearest: near } })
  }

  /** The next fetch that starts, whoever starts it; if nobody does, one as soon as it may start. */
  #nextPermittedFetch(): Promise<void> {
    if (this.#awaited) return this.#awaited.promise
    if (this.#stopped) return Promise.reject(stopped())
    const awaited = Promise.withResolvers<void>()
    this.#awaited = awaited
    const start = (): void => {
      this.refresh().catch(() => {})
    }
    const wait = Math.max(this.#permittedAt - performance.now(), gatheringTime)
    this.#permitTimer = setTimeout(start, wait)
    return awaited.promise
  }

  #fetch(): Promise<void> {
    if (this.#stopped) return Promise.reject(stopped())
    const awaited = this.#awaited
    this.#awaited = undefined
    clearTimeout(this.#permitTimer)
    if (awaited) {
      this.#permittedAt =
        performance.now() + (this.#options.unknownTagInterval ?? defaultUnknownTagInterval)
    }
    const fetch = this.#fetchTable().finally(() => {
      this.#running = undefined
    })
    this.#running = fetch
    if (awaited) fetch.then(awaited.resolve, awaited.reject)
    return fetch
  }

  async #fetchTable(): Promise<void> {
    const { repository, log, metrics } = this.#options
    const start = performance.now()
    const seconds = () => (performance.now() - start) / 1000
    try {
      this.#adopt(await repository.fetch())
      metrics?.fetched('fetched', seconds())
      this.#refreshedAt = new Date().toISOString()
      if (this.#failure !== undefined) log.info({}, 'git can be fetched again')
      this.#failure = undefined
    } catch (error) {
      metrics?.fetched('failed', seconds())
      const failure = messageOf(error)
      // Without a table the caller of start() reports it; of a state that lasts, once is enough.
      if (this.#failure === undefined && this.#snapshot) {
        log.warn(
          { failure },
          'git cannot be fetched; the refs that were fetched last stay in force',
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
    this.#options.onRefs?.(table, previous)
  }
}

/** Asks once however many want to know; what could not be answered is asked again. */
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

function ambiguous(tag: string, ids: readonly string[]): Failure {
  return new Failure(
    'manifest-unknown',
    `"${tag}" is the beginning of ${ids.length} commit ids; write more of one: ${ids.join(', ')}`,
    { detail: { tag, candidates: ids } },
  )
}

function stopped(): Failure {
  return new Failure('unavailable', 'the service is shutting down', { retryAfter: fetchRetryAfter })
}
