/**
 * The package set is nixpkgs, at the commit that a channel is at. A channel is resolved once an hour:
 *
 *     16:59:50  latest → aaaa…   channels/nixos-24.11/2024-12-01T16
 *     17:00:00                   (the channel moved to bbbb… at 16:20)
 *     17:00:05  latest → bbbb…   channels/nixos-24.11/2024-12-01T17: written by whoever is first
 *
 * The hours are those of the UTC clock, and the commit of an hour is a record in the storage that is
 * written once. So within an hour all instances of one storage give the same commit, as far as
 * their clocks agree, with one exception: an instance that could reach neither the channel server nor a
 * record of the hour goes on with the commit before, until it can.
 */

import { LRUCache } from 'lru-cache'
import PQueue from 'p-queue'
import { z } from 'zod'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure, messageOf } from '../image/errors.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { nearest } from '../text/nearest.ts'
import { isChannelName } from './channel.ts'
import type { ChannelServer, Revision, Source, SourceStatus } from './ports.ts'
import { isNixpkgsCommit } from './ports.ts'

/** Milliseconds after which a server that did not answer is asked again. */
const retryInterval = 60_000
/** Seconds. */
const retryAfter = 30
/** Milliseconds that a name counts as unknown: a client that fails asks twice, a channel is new twice a year. */
const unknownFor = 60_000
const unknownRemembered = 1000
/** Names not seen before that the server is asked for at a time: guesses must not become a load on it. */
const strangersAtOnce = 4
/** How many may wait for that. */
const strangersWaiting = 100
/** Channels whose branches a commit is looked for on, besides the main one. */
const branchesAsked = 5
const mainBranch = 'master'
const lastKey = 'last'
const namesSuggested = 3

/** Where a channel was at some time. */
export const channelRecord = z.object({ commit: z.string().regex(/^[0-9a-f]{40}$/) })
export type ChannelRecord = z.infer<typeof channelRecord>

export interface ChannelSourceOptions {
  /** What `latest` means. */
  readonly channel: string
  readonly server: ChannelServer
  /** `<channel>/<hour>`, `<channel>/last` and `commits/<commit>`. */
  readonly records: RecordStore<ChannelRecord>
  readonly log: Log
}

/** A channel that was resolved at some time. */
interface Channel {
  readonly commit: string
  /** For which the commit holds; empty when it is from an earlier run. */
  readonly hour: string
  /** Why it could not be resolved since; it is tried again at `retryAt`. */
  readonly failure?: string
  readonly retryAt?: number
}

export class ChannelSource implements Source {
  readonly #options: ChannelSourceOptions
  /** Those that exist, by name. */
  readonly #channels = new Map<string, Channel>()
  /** Channels and commits that do not exist, and until when that counts. */
  readonly #unknown = new LRUCache<string, number>({ max: unknownRemembered })
  readonly #flights = new SingleFlight<string>()
  readonly #checks = new SingleFlight<boolean>()
  readonly #strangers = new PQueue({ concurrency: strangersAtOnce })
  #refreshedAt: string | undefined

  constructor(options: ChannelSourceOptions) {
    this.#options = options
  }

  /**
   * Goes on with the commit that was resolved last, and resolves the channel in the background; or
   * waits for the first answer.
   * @throws Failure unavailable if nothing is known and the server cannot be asked;
   *   manifest-unknown if there is no such channel
   */
  async start(): Promise<void> {
    const { channel, records } = this.#options
    const last = await records.get(`${channel}/${lastKey}`)
    if (last === undefined) {
      await this.#commitOf(channel)
      return
    }
    this.#remember(channel, { commit: last.commit, hour: '' })
    this.#commitOf(channel).catch(() => {})
  }

  /**
   * `latest`, a channel's name, or a full commit id. A commit is served if a channel was at it, or if the
   * server says that it is in the history of a channel's branch or of the main one: the host of
   * the tarballs also has those of commits that exist only in somebody's fork.
   */
  async resolve(tag: string): Promise<Revision> {
    if (isNixpkgsCommit(tag)) return { id: await this.#checked(tag.toLowerCase()) }
    const channel = tag === 'latest' ? this.#options.channel : tag
    if (!isChannelName(channel)) throw this.#unknownTag(tag)
    return { id: await this.#commitOf(channel), ref: channel }
  }

  /** `latest`, the configured channel, and those that were asked for since the start. */
  tags(): readonly string[] {
    return [...new Set(['latest', this.#options.channel, ...this.#channels.keys()])].sort()
  }

  export(revision: Revision, folder: string): Promise<void> {
    return this.#options.server.download(revision.id, folder)
  }

  /** The failure is the configured channel's, else any other's. */
  status(): SourceStatus {
    const own = this.#channels.get(this.#options.channel)
    const failure =
      own?.failure ?? this.#channels.values().find((channel) => channel.failure)?.failure
    return {
      ready: own !== undefined,
      ...(this.#refreshedAt === undefined ? {} : { refreshedAt: this.#refreshedAt }),
      ...(failure === undefined ? {} : { failure }),
    }
  }

  /** Waits for the server only if the hour is new and the server answered when it was last asked. */
  async #commitOf(channel: string): Promise<string> {
    const known = this.#channels.get(channel)
    if (known?.hour === currentHour()) return known.commit
    if (known?.failure === undefined) {
      return this.#flights.run(channel, () => this.#renew(channel, known))
    }
    if (Date.now() >= (known.retryAt ?? 0)) {
      this.#flights.run(channel, () => this.#renew(channel, known)).catch(() => {})
    }
    return known.commit
  }

  async #renew(channel: string, known: Channel | undefined): Promise<string> {
    if (this.#isUnknown(channel)) throw this.#unknownTag(channel)
    const hour = currentHour()
    let failure: Failure
    try {
      const ask = () => this.#ask(channel, hour)
      const commit = await (known ? ask() : this.#inTurn(ask))
      if (commit !== undefined) return await this.#adopt(channel, known, { commit, hour })
      failure = this.#unknownTag(channel)
    } catch (error) {
      failure = unresolved(channel, error)
    }
    const last = known ?? (await this.#last(channel))
    if (last !== undefined) return this.#keep(channel, last, failure.message)
    if (failure.kind === 'manifest-unknown') this.#unknown.set(channel, Date.now() + unknownFor)
    throw failure
  }

  /** The hour's commit as an instance wrote it, or as the server says. */
  async #ask(channel: string, hour: string): Promise<string | undefined> {
    const { server, records } = this.#options
    const key = `${channel}/${hour}`
    const settled = await records.get(key)
    if (settled !== undefined) return settled.commit
    const commit = await server.resolve(channel)
    return commit === undefined ? undefined : (await records.settle(key, { commit })).commit
  }

  async #adopt(channel: string, known: Channel | undefined, now: Channel): Promise<string> {
    const { records, log } = this.#options
    const { commit } = now
    if (commit !== known?.commit) {
      await records.settle(commitKey(commit), { commit })
      await records.replace(`${channel}/${lastKey}`, { commit })
      log.info({ channel, commit }, 'the channel is at another commit')
    }
    if (known?.failure !== undefined) log.info({ channel }, 'the channel can be resolved again')
    this.#remember(channel, now)
    this.#refreshedAt = new Date().toISOString()
    return commit
  }

  #keep(channel: string, known: Channel, reason: string): string {
    const { commit } = known
    const failure = `${reason}; its last known commit, ${commit}, is served`
    // Of a state that lasts, once is enough.
    if (known.failure === undefined) {
      this.#options.log.warn(
        { channel, commit, failure },
        'the channel cannot be resolved; the commit that it was at last goes on being served',
      )
    }
    this.#remember(channel, { ...known, failure, retryAt: Date.now() + retryInterval })
    return commit
  }

  /** Whatever else is pulled, the tree of a commit that a channel goes on with must not get lost. */
  #remember(channel: string, state: Channel): void {
    this.#channels.set(channel, state)
    this.#options.server.keep(Array.from(this.#channels.values(), ({ commit }) => commit))
  }

  async #last(channel: string): Promise<Channel | undefined> {
    const record = await this.#options.records.get(`${channel}/${lastKey}`)
    return record && { commit: record.commit, hour: '' }
  }

  /** @throws Failure manifest-unknown if the commit is of no branch that counts; unavailable */
  async #checked(commit: string): Promise<string> {
    const { channel, server, records } = this.#options
    const branches = [...new Set([channel, mainBranch, ...this.#channels.keys()])].slice(
      0,
      branchesAsked,
    )
    const reachable = await this.#checks.run(commit, async () => {
      if ((await records.get(commitKey(commit))) !== undefined) return true
      if (this.#isUnknown(commit)) return false
      const found = await this.#inTurn(() => server.isReachable(commit, branches))
      // What a branch of nixpkgs leads to, it leads to for ever.
      if (found) await records.settle(commitKey(commit), { commit })
      else this.#unknown.set(commit, Date.now() + unknownFor)
      return found
    })
    if (reachable) return commit
    throw new Failure(
      'manifest-unknown',
      `"${commit}" is no commit of the nixpkgs branches ${branches.join(', ')}`,
      { detail: { tag: commit, branches } },
    )
  }

  #isUnknown(name: string): boolean {
    return Date.now() < (this.#unknown.get(name) ?? 0)
  }

  async #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#strangers.size < strangersWaiting) return this.#strangers.add(ask)
    throw new Failure('overloaded', 'too many channels and commits are being asked for at once', {
      retryAfter,
    })
  }

  #unknownTag(tag: string): Failure {
    const { channel } = this.#options
    const near = nearest(tag, this.tags(), namesSuggested).filter((name) => name !== tag)
    const reason = `"${tag}" is no channel of nixpkgs and no full commit of it`
    const hint = near.length > 0 ? `; the nearest: ${near.join(', ')}` : ''
    const meaning =
      tag === channel ? '; NIXERY_CHANNEL names it' : `; "latest" is the channel ${channel}`
    return new Failure('manifest-unknown', reason + meaning + hint, {
      detail: { tag, channel, nearest: near },
    })
  }
}

/** Of the kind that it had, without its cause. */
function unresolved(channel: string, error: unknown): Failure {
  const kind = error instanceof Failure ? error.kind : 'unavailable'
  const reason = `the channel "${channel}" could not be resolved: ${messageOf(error)}`
  return new Failure(kind, reason, { retryAfter })
}

function commitKey(commit: string): string {
  return `commits/${commit}`
}

/** `2024-12-01T17`, of the UTC clock. */
function currentHour(): string {
  return new Date().toISOString().slice(0, 'YYYY-MM-DDTHH'.length)
}
