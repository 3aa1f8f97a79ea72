/**
 * Resolves channels of nixpkgs to commits, each channel once an hour:
 *
 *     16:59:50  nixos-24.11 → aaaa…   channels/nixos-24.11/2024-12-01T16
 *     17:00:00                        (the channel moved to bbbb… at 16:20)
 *     17:00:05  nixos-24.11 → bbbb…   channels/nixos-24.11/2024-12-01T17: written by the first instance
 *
 * The hours are those of the UTC clock, and the commit of an hour is a record in the storage that is written
 * once. So within an hour all instances of one storage give the same commit, as far as their clocks agree.
 * There is one exception: an instance that could reach neither the channel server nor the record of the hour
 * serves the previous commit until it can.
 */

import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure, messageOf } from '../image/errors.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { channelRetryAfter, type GuessLimit } from './guess-limit.ts'
import type { ChannelRecord, NixpkgsCommits } from './nixpkgs-commits.ts'
import type { ChannelServer } from './ports.ts'

/** Milliseconds between attempts to resolve a channel that could not be resolved. */
const retryInterval = 60_000
const lastKey = 'last'

export interface HourlyChannelsOptions {
  readonly server: ChannelServer
  /** Commits by `<channel>/<hour>` and `<channel>/last`. */
  readonly records: RecordStore<ChannelRecord>
  readonly commits: NixpkgsCommits
  readonly guesses: GuessLimit
  readonly log: Log
}

interface Channel {
  readonly commit: string
  /** Hour for which the commit is valid; empty for a commit of an earlier run. */
  readonly hour: string
  /** Why the newest attempt to resolve the channel failed. The next attempt is at `retryAt`. */
  readonly failure?: string
  readonly retryAt?: number
}

export class HourlyChannels {
  readonly #options: HourlyChannelsOptions
  /** Channels that exist, by name. */
  readonly #channels = new Map<string, Channel>()
  readonly #flights = new SingleFlight<string | undefined>()
  #refreshedAt: string | undefined

  constructor(options: HourlyChannelsOptions) {
    this.#options = options
  }

  /** Names of the channels that were resolved since the start, in that order. */
  names(): string[] {
    return [...this.#channels.keys()]
  }

  has(channel: string): boolean {
    return this.#channels.has(channel)
  }

  /** When a channel was last resolved without failure, ISO 8601. */
  get refreshedAt(): string | undefined {
    return this.#refreshedAt
  }

  /** Returns why this channel cannot be resolved. If it can be resolved, returns why another one cannot. */
  failure(channel: string): string | undefined {
    return (
      this.#channels.get(channel)?.failure ??
      this.#channels.values().find(({ failure }) => failure !== undefined)?.failure
    )
  }

  /**
   * Serves the commit of an earlier run and resolves the channel in the background.
   * @returns false if no earlier run resolved the channel
   */
  async restore(channel: string): Promise<boolean> {
    const last = await this.#last(channel)
    if (last === undefined) return false
    this.#set(channel, last)
    this.commitOf(channel).catch(() => {})
    return true
  }

  /**
   * Returns the commit of a channel. Waits for the server only if the hour is new and the last attempt
   * succeeded.
   * @returns undefined if there is no such channel
   * @throws Failure unavailable, overloaded, if no earlier commit is known
   */
  async commitOf(channel: string): Promise<string | undefined> {
    const known = this.#channels.get(channel)
    if (known?.hour === currentHour()) return known.commit
    if (known?.failure === undefined) {
      return this.#flights.run(channel, () => this.#resolve(channel, known))
    }
    if (Date.now() >= (known.retryAt ?? 0)) {
      this.#flights.run(channel, () => this.#resolve(channel, known)).catch(() => {})
    }
    return known.commit
  }

  async #resolve(channel: string, known: Channel | undefined): Promise<string | undefined> {
    const { guesses } = this.#options
    if (guesses.isUnknown(channel)) return undefined
    const hour = currentHour()
    let failure: Failure | undefined
    try {
      const ask = () => this.#commitAt(hour, channel)
      const commit = await (known ? ask() : guesses.run(ask))
      if (commit !== undefined) return await this.#adopt(channel, known, { commit, hour })
    } catch (error) {
      failure = unresolved(channel, error)
    }
    const last = known ?? (await this.#last(channel))
    if (last !== undefined) {
      const message = failure?.message ?? `"${channel}" is no longer a channel of nixpkgs`
      return this.#keepServing(channel, last, message)
    }
    if (failure !== undefined) throw failure
    guesses.markUnknown(channel)
    return undefined
  }

  /** Returns the hour's commit from its record, or else asks the server and writes the record. */
  async #commitAt(hour: string, channel: string): Promise<string | undefined> {
    const { server, records } = this.#options
    const key = `${channel}/${hour}`
    const recorded = await records.get(key)
    if (recorded !== undefined) return recorded.commit
    const commit = await server.resolve(channel)
    return commit === undefined ? undefined : (await records.settle(key, { commit })).commit
  }

  async #adopt(channel: string, known: Channel | undefined, now: Channel): Promise<string> {
    const { commits, records, log } = this.#options
    const { commit } = now
    if (commit !== known?.commit) {
      await commits.add(commit)
      await records.replace(`${channel}/${lastKey}`, { commit })
      log.info({ channel, commit }, 'the channel moved to another commit')
    }
    if (known?.failure !== undefined) log.info({ channel }, 'the channel can be resolved again')
    this.#set(channel, now)
    this.#refreshedAt = new Date().toISOString()
    return commit
  }

  #keepServing(channel: string, known: Channel, message: string): string {
    const { commit } = known
    const failure = `${message}; its last known commit, ${commit}, is served`
    // Only the first of several failures is logged.
    if (known.failure === undefined) {
      this.#options.log.warn(
        { channel, commit, failure },
        'the channel cannot be resolved; its last known commit is still served',
      )
    }
    this.#set(channel, { ...known, failure, retryAt: Date.now() + retryInterval })
    return commit
  }

  /** Also tells the server to keep the trees of all commits that are served. */
  #set(channel: string, state: Channel): void {
    this.#channels.set(channel, state)
    this.#options.server.keep(Array.from(this.#channels.values(), ({ commit }) => commit))
  }

  async #last(channel: string): Promise<Channel | undefined> {
    const record = await this.#options.records.get(`${channel}/${lastKey}`)
    return record && { commit: record.commit, hour: '' }
  }
}

/** Returns a failure of the same kind, without its cause. */
function unresolved(channel: string, error: unknown): Failure {
  const kind = error instanceof Failure ? error.kind : 'unavailable'
  const message = `the channel "${channel}" could not be resolved: ${messageOf(error)}`
  return new Failure(kind, message, { retryAfter: channelRetryAfter })
}

/** Returns the hour of the UTC clock: `2024-12-01T17`. */
function currentHour(): string {
  return new Date().toISOString().slice(0, 'YYYY-MM-DDTHH'.length)
}
