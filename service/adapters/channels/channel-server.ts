/** Channels, their commits and the trees of these over HTTP, by default from where nixpkgs publishes. */

import { z } from 'zod'
import { Failure } from '../../image/errors.ts'
import type { ChannelServer } from '../../source/ports.ts'
import { isNixpkgsCommit } from '../../source/ports.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { originOf, type RemoteAnswer, readRemote, wholeBody } from '../remote/remote-document.ts'
import { Tarballs } from './tarballs.ts'

/** Milliseconds: at the turn of an hour a pull waits for this. */
const defaultAnswerTimeout = 10_000
const defaultIdleTimeout = 60_000
/** Bytes: a commit id, or the beginning of whatever else came. */
const longestCommitAnswer = 64 * 1024
/** Bytes: a comparison lists up to 300 changed files. */
const longestComparison = 32 * 1024 * 1024
/** Bytes: twenty times what nixpkgs has. */
const largestTarball = 1024 * 1024 * 1024
/** Seconds. */
const retryAfter = 30

const comparison = z.object({ status: z.string() })

export interface HttpChannelServerOptions {
  /** Of the text that is a channel's commit; holds `{channel}`. */
  readonly channelUrl: string
  /** Of a commit's tree as a compressed tarball with one top folder; holds `{commit}`. */
  readonly tarballUrl: string
  /**
   * Of JSON whose `status` says how a commit stands to a branch, as GitHub's API has it; holds `{branch}`
   * and `{commit}`. Without it every commit counts that `tarballUrl` answers for.
   * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
   */
  readonly compareUrl?: string
  /** Where tarballs are kept; nobody else writes there. */
  readonly folder: string
  /** On the same file system. */
  readonly temporaryFolder: string
  readonly groups: ProcessGroups
  /** Milliseconds for one answer that is no tarball. @default 10,000 */
  readonly answerTimeout?: number
  /** Milliseconds without a byte of a tarball. @default 60,000 */
  readonly idleTimeout?: number
}

export class HttpChannelServer implements ChannelServer {
  readonly #options: HttpChannelServerOptions
  readonly #tarballs: Tarballs
  readonly #closing = new AbortController()

  constructor(options: HttpChannelServerOptions) {
    this.#options = options
    this.#tarballs = new Tarballs(options)
  }

  /** Ends every request that is under way; none starts any more. */
  close(): void {
    this.#closing.abort(new Error('the service is shutting down'))
  }

  async resolve(channel: string): Promise<string | undefined> {
    const url = filled(this.#options.channelUrl, { channel })
    return this.#ask(url, longestCommitAnswer, async (answer) => {
      if (isAbsent(answer)) return undefined
      expectSuccess(url, answer)
      const text = (await wholeBody(answer)).toString().trim()
      if (isNixpkgsCommit(text)) return text.toLowerCase()
      throw refused(url, `what came is no commit id: "${beginning(text)}"`)
    })
  }

  async isReachable(commit: string, branches: readonly string[]): Promise<boolean> {
    const { compareUrl } = this.#options
    if (compareUrl === undefined) return true
    for (const branch of branches) {
      const url = filled(compareUrl, { branch, commit })
      const status = await this.#ask(url, longestComparison, async (answer) => {
        // No such commit, or no such branch.
        if (isAbsent(answer) || answer.status === 422) return undefined
        expectSuccess(url, answer)
        const { data } = comparison.safeParse(parsed(await wholeBody(answer)))
        if (data === undefined) throw refused(url, 'what came is no comparison of commits')
        return data.status
      })
      // The commit, seen from the branch; other commits are `ahead` of it or have `diverged`.
      if (status === 'behind' || status === 'identical') return true
    }
    return false
  }

  async download(commit: string, folder: string): Promise<void> {
    if (!isNixpkgsCommit(commit)) throw new TypeError(`${commit} is no full commit id`)
    if (!(await this.#tarballs.has(commit))) await this.#fetchTarball(commit)
    await this.#tarballs.unpack(commit, folder)
  }

  keep(commits: readonly string[]): void {
    this.#tarballs.keep(commits)
  }

  async #fetchTarball(commit: string): Promise<void> {
    const { tarballUrl, idleTimeout = defaultIdleTimeout } = this.#options
    const url = filled(tarballUrl, { commit })
    const options = {
      limit: largestTarball,
      idleTimeout,
      signal: this.#closing.signal,
      // The tarball is compressed: a transfer that compresses it again gains nothing.
      headers: { 'Accept-Encoding': 'identity' },
    }
    await readRemote(url, options, async (answer) => {
      if (isAbsent(answer)) {
        const reason = `there is no nixpkgs commit ${commit}: ${originOf(url)} answered ${answer.status}`
        throw new Failure('manifest-unknown', reason, { detail: { tag: commit } })
      }
      expectSuccess(url, answer)
      await this.#tarballs.add(commit, answer.body)
    })
  }

  #ask<T>(url: string, limit: number, read: (answer: RemoteAnswer) => Promise<T>): Promise<T> {
    const { answerTimeout = defaultAnswerTimeout } = this.#options
    const signal = this.#closing.signal
    const times = { idleTimeout: answerTimeout, timeout: answerTimeout }
    return readRemote(url, { limit, signal, ...times }, read)
  }
}

function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
    values[name] === undefined ? whole : encodeURIComponent(values[name]),
  )
}

function isAbsent({ status }: RemoteAnswer): boolean {
  return status === 404 || status === 410
}

function expectSuccess(url: string, { status }: RemoteAnswer): void {
  if (status !== 200) throw refused(url, `the server answered ${status}`)
}

function refused(url: string, reason: string): Failure {
  return new Failure('unavailable', `${originOf(url)}: ${reason}`, { retryAfter })
}

/** Undefined if it is no JSON. */
function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** What a person needs to recognise it, without control characters. */
function beginning(text: string): string {
  const line = text.slice(0, 60).replaceAll(/\p{Cc}+/gu, ' ')
  return text.length > 60 ? `${line}…` : line
}
