/** A publisher of channels in memory. */

import { Failure } from '../../service/image/errors.ts'
import type { ChannelServer } from '../../service/source/ports.ts'

export class FakeChannelServer implements ChannelServer {
  readonly channels = new Map<string, string>()
  /** Commit → the branches whose history has it. */
  readonly history = new Map<string, readonly string[]>()
  down = false
  /** Each question waits for it. */
  gate: Promise<void> | undefined
  readonly asked: string[] = []
  kept: readonly string[] = []

  async resolve(channel: string): Promise<string | undefined> {
    await this.#note(channel)
    return this.channels.get(channel)
  }

  async isReachable(commit: string, branches: readonly string[]): Promise<boolean> {
    await this.#note(commit)
    return this.history.get(commit)?.some((branch) => branches.includes(branch)) ?? false
  }

  async download(commit: string, folder: string): Promise<void> {
    await this.#note(`${commit} to ${folder}`)
  }

  keep(commits: readonly string[]): void {
    this.kept = commits
  }

  async #note(question: string): Promise<void> {
    this.asked.push(question)
    await this.gate
    if (this.down) throw new Failure('unavailable', 'no route to the channel server')
  }
}
