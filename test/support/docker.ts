/** A Docker daemon for one test file, and its client. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Daemon } from './daemon.ts'
import { TemporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

export class Docker implements AsyncDisposable {
  readonly #socket: string
  readonly #resources: AsyncDisposableStack

  private constructor(socket: string, resources: AsyncDisposableStack) {
    this.#socket = socket
    this.#resources = resources
  }

  /** @param binds folders and files that the daemon sees, by the paths of the machine's that they replace */
  static async start(binds: Record<string, string> = {}): Promise<Docker> {
    await using resources = new AsyncDisposableStack()
    const { path: folder } = resources.use(await TemporaryFolder.create())
    const socket = `unix://${folder}/socket`
    const mounts = Object.entries(binds).map(([path, own]) => `mount --bind '${own}' '${path}'`)
    const script = [...mounts, 'exec dockerd "$@"'].join('\n')
    const args = ['--mount', 'sh', '-ec', script, 'dockerd']
      .concat(['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')])
      .concat(['--host', socket, '--pidfile', join(folder, 'pid')])
      // Containers of the tests have no network, so the daemon needs not change the host's firewall.
      .concat(['--iptables=false', '--ip6tables=false', '--bridge=none'])
    resources.use(await Daemon.start('unshare', args, { ask: () => docker(socket, 'version') }))
    return new Docker(socket, resources.move())
  }

  /** Runs the client and returns its stdout. @throws Error whose `stderr` is what a person would see */
  run(...args: string[]): Promise<string> {
    return docker(this.#socket, ...args)
  }

  /** Returns what a person sees of a failed pull. @throws Error if the pull succeeds */
  async failToPull(image: string): Promise<string> {
    try {
      await this.run('pull', image)
    } catch (error) {
      return (error as { stderr: string }).stderr
    }
    throw new Error(`the pull of ${image} succeeded`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

async function docker(socket: string, ...args: string[]): Promise<string> {
  return (await run('docker', ['--host', socket, ...args])).stdout.trim()
}
