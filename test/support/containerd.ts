/** A containerd for one test file, and its client. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Daemon } from './daemon.ts'
import { TemporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

export class Containerd implements AsyncDisposable {
  readonly #socket: string
  readonly #resources: AsyncDisposableStack

  private constructor(socket: string, resources: AsyncDisposableStack) {
    this.#socket = socket
    this.#resources = resources
  }

  static async start(): Promise<Containerd> {
    await using resources = new AsyncDisposableStack()
    const { path: folder } = resources.use(await TemporaryFolder.create())
    const config = join(folder, 'config.toml')
    const socket = join(folder, 'socket')
    await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    const args = ['--config', config, '--address', socket].concat([
      '--root',
      join(folder, 'root'),
      '--state',
      join(folder, 'state'),
    ])
    resources.use(await Daemon.start('containerd', args, { ask: () => ctr(socket, 'version') }))
    return new Containerd(socket, resources.move())
  }

  /** Runs ctr and returns its stdout. */
  run(...args: string[]): Promise<string> {
    return ctr(this.#socket, ...args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

async function ctr(socket: string, ...args: string[]): Promise<string> {
  return (await run('ctr', ['--address', socket, ...args])).stdout.trim()
}
