/** Channel server in memory. */

import { Failure } from '../../service/image/errors.ts'
import type { ChannelServer } from '../../service/source/ports.ts'

export class FakeChannelServer implements ChannelServer {
  /** Channel → commit. */
  readonly channels = new Map<string, string>()
  /** Commit → branches whose history contains it. */
  readonly history = new Map<string, readonly string[]>()
  /** Makes requests fail. */
  down = false
  /** If set, requests wait for it. */
  gate: Promise<void> | undefined
  /** Channels and commits of all requests, in order. */
  readonly requests: string[] = []
  kept: readonly string[] = []

  async resolve(channel: string): Promise<string | undefined> {
    await this.#request(channel)
    return this.channels.get(channel)
  }

  async isReachable(commit: string, branches: readonly string[]): Promise<boolean> {
    await this.#request(commit)
    return this.history.get(commit)?.some((branch) => branches.includes(branch)) ?? false
  }

  async download(commit: string, folder: string): Promise<void> {
    await this.#request(`${commit} to ${folder}`)
  }

  keep(commits: readonly string[]): void {
    this.kept = commits
  }

  async #request(request: string): Promise<void> {
    this.requests.push(request)
    await this.gate
    if (this.down) throw new Failure('unavailable', 'no route to the channel server')
  }
}
