/** A containerd of the test's own, and its client. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { awaitAnswer } from './daemon.ts'

const run = promisify(execFile)

export class Containerd implements AsyncDisposable {
  readonly #folder: string
  readonly #daemon: ChildProcess

  private constructor(folder: string, daemon: ChildProcess) {
    this.#folder = folder
    this.#daemon = daemon
  }

  static async start(): Promise<Containerd> {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-containerd-'))
    const config = join(folder, 'config.toml')
    await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    const daemon = spawn(
      'containerd',
      ['--config', config, '--root', join(folder, 'root'), '--state', join(folder, 'state')].concat(
        ['--address', join(folder, 'socket')],
      ),
      { stdio: 'ignore' },
    )
    const containerd = new Containerd(folder, daemon)
    try {
      await awaitAnswer(daemon, () => containerd.run('version'))
    } catch (error) {
      await containerd[Symbol.asyncDispose]()
      throw error
    }
    return containerd
  }

  /** stdout of ctr. */
  async run(...args: string[]): Promise<string> {
    return (await run('ctr', ['--address', join(this.#folder, 'socket'), ...args])).stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon.exitCode === null) {
      const ended = once(this.#daemon, 'exit')
      this.#daemon.kill('SIGTERM')
      await ended
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}
