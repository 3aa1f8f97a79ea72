/**
 * Stops Nix builders at a point of their scripts until the test opens the gate. Builders see the host's files,
 * because the tests run them without a sandbox.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { vi } from 'vitest'
import { processesWith } from './processes.ts'
import { TemporaryFolder } from './temporary-folder.ts'

/** Milliseconds that a service may take until its builder runs. */
const startLimit = 60_000

export class BuilderGate implements AsyncDisposable {
  readonly #folder: TemporaryFolder
  /** Shell command that waits until the gate is open. */
  readonly wait: string

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder
    this.wait = `until [ -e ${this.#file} ]; do sleep 0.1; done`
  }

  static async create(): Promise<BuilderGate> {
    return new BuilderGate(await TemporaryFolder.create())
  }

  get #file(): string {
    return join(this.#folder.path, 'open')
  }

  /** Lists the running builders whose scripts contain `wait`, as `PID ARGUMENTS`. */
  builders(): Promise<string[]> {
    return processesWith(this.#file)
  }

  /** Waits until a builder runs. */
  async reached(): Promise<void> {
    const isReached = async () => {
      if ((await this.builders()).length === 0) throw new Error('no builder has reached the gate')
    }
    await vi.waitFor(isReached, { timeout: startLimit })
  }

  async open(): Promise<void> {
    await writeFile(this.#file, '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]()
  }
}
