/**
 * Checks that commits belong to nixpkgs. The host of the tarballs also serves commits that exist only in a
 * fork, so a commit is accepted only if a channel has named it, or if a branch of nixpkgs contains it.
 */

import { z } from 'zod'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { GuessLimit } from './guess-limit.ts'
import type { ChannelServer } from './ports.ts'

/** Record of a commit of nixpkgs: a checked commit, or the commit of a channel at some time. */
export const channelRecord = z.object({ commit: z.string().regex(/^[0-9a-f]{40}$/) })
export type ChannelRecord = z.infer<typeof channelRecord>

export interface NixpkgsCommitsOptions {
  readonly server: ChannelServer
  /** Checked commits are kept as `commits/<commit>`. */
  readonly records: RecordStore<ChannelRecord>
  readonly guesses: GuessLimit
}

export class NixpkgsCommits {
  readonly #options: NixpkgsCommitsOptions
  readonly #checks = new SingleFlight<boolean>()

  constructor(options: NixpkgsCommitsOptions) {
    this.#options = options
  }

  /** Records a commit that a channel names. */
  async add(commit: string): Promise<void> {
    await this.#options.records.settle(recordKey(commit), { commit })
  }

  /**
   * Returns whether a commit was recorded, or is in the history of one of the branches.
   * @throws Failure unavailable, overloaded
   */
  has(commit: string, branches: readonly string[]): Promise<boolean> {
    const { server, records, guesses } = this.#options
    return this.#checks.run(commit, async () => {
      if ((await records.get(recordKey(commit))) !== undefined) return true
      if (guesses.isUnknown(commit)) return false
      const isReachable = await guesses.run(() => server.isReachable(commit, branches))
      // The record needs no expiry: branches of nixpkgs are never rewritten.
      if (isReachable) await this.add(commit)
      else guesses.markUnknown(commit)
      return isReachable
    })
  }
}

function recordKey(commit: string): string {
  return `commits/${commit}`
}
