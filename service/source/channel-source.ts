/** Package set that is nixpkgs, at the commit of a channel or at any other commit of nixpkgs. */

import { Failure } from '../image/errors.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { isChannelName } from './channel-name.ts'
import { GuessLimit } from './guess-limit.ts'
import { HourlyChannels } from './hourly-channels.ts'
import { isNixpkgsCommit } from './nixpkgs-commit-id.ts'
import { type ChannelRecord, NixpkgsCommits } from './nixpkgs-commits.ts'
import type { ChannelServer, Revision, Source, SourceStatus } from './ports.ts'
import { unknownTagFailure } from './unknown-tag-failure.ts'

/** Most branches whose history is searched for a commit, including the main branch. */
const maxBranches = 5
const mainBranch = 'master'

export interface ChannelSourceOptions {
  /** Channel that `latest` means. */
  readonly channel: string
  readonly server: ChannelServer
  /** Commits by `<channel>/<hour>`, `<channel>/last` and `commits/<commit>`. */
  readonly records: RecordStore<ChannelRecord>
  readonly log: Log
}

export class ChannelSource implements Source {
  readonly #channel: string
  readonly #server: ChannelServer
  readonly #commits: NixpkgsCommits
  readonly #channels: HourlyChannels

  constructor({ channel, server, records, log }: ChannelSourceOptions) {
    const guesses = new GuessLimit()
    this.#channel = channel
    this.#server = server
    this.#commits = new NixpkgsCommits({ server, records, guesses })
    this.#channels = new HourlyChannels({ server, records, commits: this.#commits, guesses, log })
  }

  /**
   * Serves the commit of an earlier run and resolves the channel in the background; without one, waits for
   * the server.
   * @throws Failure unavailable if no commit is known and the server cannot be reached;
   *   manifest-unknown if there is no such channel
   */
  async start(): Promise<void> {
    if (await this.#channels.restore(this.#channel)) return
    await this.#commitOf(this.#channel)
  }

  /** Resolves `latest`, the name of a channel, or a full commit id. */
  async resolve(tag: string): Promise<Revision> {
    if (isNixpkgsCommit(tag)) return { id: await this.#checkedCommit(tag.toLowerCase()) }
    const channel = tag === 'latest' ? this.#channel : tag
    if (!isChannelName(channel)) throw this.#unknownTagFailure(tag)
    return { id: await this.#commitOf(channel), ref: channel }
  }

  /** Lists `latest`, the configured channel, and the channels that were requested since the start. */
  tags(): readonly string[] {
    return [...new Set(['latest', this.#channel, ...this.#channels.names()])].sort()
  }

  export(revision: Revision, folder: string): Promise<void> {
    return this.#server.download(revision.id, folder)
  }

  status(): SourceStatus {
    const { refreshedAt } = this.#channels
    const failure = this.#channels.failure(this.#channel)
    return {
      ready: this.#channels.has(this.#channel),
      ...(refreshedAt === undefined ? {} : { refreshedAt }),
      ...(failure === undefined ? {} : { failure }),
    }
  }

  async #commitOf(channel: string): Promise<string> {
    const commit = await this.#channels.commitOf(channel)
    if (commit === undefined) throw this.#unknownTagFailure(channel)
    return commit
  }

  async #checkedCommit(commit: string): Promise<string> {
    const all = new Set([this.#channel, mainBranch, ...this.#channels.names()])
    const branches = [...all].slice(0, maxBranches)
    if (await this.#commits.has(commit, branches)) return commit
    throw new Failure(
      'manifest-unknown',
      `"${commit}" is no commit of the nixpkgs branches ${branches.join(', ')}`,
      { detail: { tag: commit, branches } },
    )
  }

  #unknownTagFailure(tag: string): Failure {
    const channel = this.#channel
    const message = `"${tag}" is no channel of nixpkgs and no full commit of it`
    const meaning =
      tag === channel ? 'NIXERY_CHANNEL names it' : `"latest" is the channel ${channel}`
    return unknownTagFailure(tag, this.tags(), `${message}; ${meaning}`, { channel })
  }
}
