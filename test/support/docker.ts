/** A Docker daemon of the test's own, and its client. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { awaitAnswer } from './daemon.ts'

const run = promisify(execFile)

export class Docker implements AsyncDisposable {
  readonly #folder: string
  readonly #daemon: ChildProcess

  private constructor(folder: string, daemon: ChildProcess) {
    this.#folder = folder
    this.#daemon = daemon
  }

  /** @param etc folders and files that the daemon sees in place of the machine's, by their place */
  static async start(etc: Record<string, string> = {}): Promise<Docker> {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-docker-'))
    const binds = Object.entries(etc).map(([place, own]) => `mount --bind '${own}' '${place}'`)
    const daemon = spawn(
      'unshare',
      ['--mount', 'sh', '-ec', [...binds, 'exec dockerd "$@"'].join('\n'), 'dockerd']
        .concat(['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')])
        .concat(['--host', `unix://${folder}/socket`, '--pidfile', join(folder, 'pid')])
        // Containers of the tests have no network, so the host's firewall stays as it is.
        .concat(['--iptables=false', '--ip6tables=false', '--bridge=none']),
      { stdio: 'ignore' },
    )
    const docker = new Docker(folder, daemon)
    try {
      await awaitAnswer(daemon, () => docker.run('version'))
    } catch (error) {
      await docker[Symbol.asyncDispose]()
      throw error
    }
    return docker
  }

  /** stdout of the client. @throws Error whose `stderr` is what a person would see */
  async run(...args: string[]): Promise<string> {
    const host = ['--host', `unix://${this.#folder}/socket`]
    return (await run('docker', [...host, ...args])).stdout.trim()
  }

  /** What a person sees of a pull that fails. */
  async failToPull(image: string): Promise<string> {
    try {
      await this.run('pull', image)
    } catch (error) {
      return (error as { stderr: string }).stderr
    }
    throw new Error(`${image} was pulled, and should not have been`)
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
