/** Nixpkgs channels over HTTP: their commits, and the source trees of the commits. */

import { z } from 'zod'
import { Failure } from '../../image/errors.ts'
import { isNixpkgsCommit } from '../../source/nixpkgs-commit-id.ts'
import type { ChannelServer } from '../../source/ports.ts'
import { truncate } from '../../text/truncate.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { originOf, type RemoteResponse, readRemote, wholeBody } from '../remote/remote-document.ts'
import { Tarballs } from './tarballs.ts'

/** Milliseconds for a response that is not a tarball. Once an hour, a pull waits for such a response. */
const defaultResponseTimeout = 10_000
/** Milliseconds without a byte of a tarball. */
const defaultIdleTimeout = 60_000
/** Most bytes of a response that should be a commit id. */
const longestCommitResponse = 64 * 1024
/** Most bytes of a comparison, which lists up to 300 changed files. */
const longestComparison = 32 * 1024 * 1024
/** Most bytes of a tarball: twenty times the tarball of nixpkgs. */
const largestTarball = 1024 * 1024 * 1024
/** Seconds. */
const retryAfter = 30

const comparison = z.object({ status: z.string() })

export interface HttpChannelServerOptions {
  /** URL of a text that is the commit of a channel. Contains `{channel}`. */
  readonly channelUrl: string
  /** URL of the source tree of a commit, as a compressed tarball with one top folder. Contains `{commit}`. */
  readonly tarballUrl: string
  /**
   * URL of a comparison of a commit with a branch, in the format of GitHub's API. Contains `{branch}` and
   * `{commit}`. Without it, every commit that `tarballUrl` has counts as reachable.
   * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
   */
  readonly compareUrl?: string
  /** Folder of the tarballs. Nothing else may write there. */
  readonly folder: string
  /** Folder for running downloads, on the same file system. */
  readonly temporaryFolder: string
  readonly groups: ProcessGroups
  /** Milliseconds for a response that is not a tarball. @default 10,000 */
  readonly responseTimeout?: number
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

  /** Ends all running requests. Later requests fail. */
  close(): void {
    this.#closing.abort(new Error('the service is shutting down'))
  }

  async resolve(channel: string): Promise<string | undefined> {
    const url = expand(this.#options.channelUrl, { channel })
    return this.#request(url, longestCommitResponse, async (response) => {
      if (isMissing(response)) return undefined
      expectSuccess(url, response)
      const text = (await wholeBody(response)).toString().trim()
      if (isNixpkgsCommit(text)) return text.toLowerCase()
      throw unusable(url, `the response is not a commit id: "${excerpt(text)}"`)
    })
  }

  async isReachable(commit: string, branches: readonly string[]): Promise<boolean> {
    const { compareUrl } = this.#options
    if (compareUrl === undefined) return true
    for (const branch of branches) {
      const url = expand(compareUrl, { branch, commit })
      const status = await this.#request(url, longestComparison, async (response) => {
        // The commit or the branch does not exist.
        if (isMissing(response) || response.status === 422) return undefined
        expectSuccess(url, response)
        const { data } = comparison.safeParse(parsedJson(await wholeBody(response)))
        if (data === undefined) throw unusable(url, 'the response is not a comparison of commits')
        return data.status
      })
      // The status describes the commit relative to the branch. Others are `ahead` and `diverged`.
      if (status === 'behind' || status === 'identical') return true
    }
    return false
  }

  async download(commit: string, folder: string): Promise<void> {
    if (!isNixpkgsCommit(commit)) throw new TypeError(`${commit} is not a full commit id`)
    if (!(await this.#tarballs.has(commit))) await this.#fetchTarball(commit)
    await this.#tarballs.unpack(commit, folder)
  }

  keep(commits: readonly string[]): void {
    this.#tarballs.keep(commits)
  }

  async #fetchTarball(commit: string): Promise<void> {
    const { tarballUrl, idleTimeout = defaultIdleTimeout } = this.#options
    const url = expand(tarballUrl, { commit })
    const options = {
      limit: largestTarball,
      idleTimeout,
      signal: this.#closing.signal,
      // The tarball is compressed already. Compressing the transfer would gain nothing.
      headers: { 'Accept-Encoding': 'identity' },
    }
    await readRemote(url, options, async (response) => {
      if (isMissing(response)) {
        const message = `there is no nixpkgs commit ${commit}: ${originOf(url)} answered ${response.status}`
        throw new Failure('manifest-unknown', message, { detail: { tag: commit } })
      }
      expectSuccess(url, response)
      await this.#tarballs.add(commit, response.body)
    })
  }

  #request<T>(
    url: string,
    limit: number,
    read: (response: RemoteResponse) => Promise<T>,
  ): Promise<T> {
    const { responseTimeout: timeout = defaultResponseTimeout } = this.#options
    const { signal } = this.#closing
    return readRemote(url, { limit, signal, idleTimeout: timeout, timeout }, read)
  }
}

function expand(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
    values[name] === undefined ? whole : encodeURIComponent(values[name]),
  )
}

function isMissing({ status }: RemoteResponse): boolean {
  return status === 404 || status === 410
}

function expectSuccess(url: string, { status }: RemoteResponse): void {
  if (status !== 200) throw unusable(url, `the server answered ${status}`)
}

function unusable(url: string, failure: string): Failure {
  return new Failure('unavailable', `${originOf(url)}: ${failure}`, { retryAfter })
}

/** Returns undefined if the body is not JSON. */
function parsedJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** Returns the beginning of a text without control characters, for a message. */
function excerpt(text: string): string {
  return truncate(text, 60).replaceAll(/\p{Cc}+/gu, ' ')
}
