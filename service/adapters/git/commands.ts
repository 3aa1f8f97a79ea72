/** Runs git on one bare repository. Every failure is a Failure `unavailable`: see GitFailures. */
import { type Failure, messageOf } from '../../image/errors.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import type { RunOptions, RunResult } from '../process/run.ts'
import { remoteGitEnvironment, withDefaultSsh } from './environment.ts'
import type { GitFailures } from './failures.ts'
import type { LocalReads } from './local-reads.ts'

export interface GitCommandsOptions {
  /** Absolute path of the bare repository, which need not exist yet. */
  readonly folder: string
  readonly groups: ProcessGroups
  readonly reads: LocalReads
  readonly failures: GitFailures
  readonly environment: NodeJS.ProcessEnv
}

export type GitRunOptions = Pick<RunOptions, 'cwd' | 'timeout' | 'idleTimeout' | 'env'>

export class GitCommands {
  readonly #options: GitCommandsOptions
  readonly #environment: Record<string, string>

  constructor(options: GitCommandsOptions) {
    this.#options = options
    this.#environment = remoteGitEnvironment(options.environment)
  }

  /** Like `LocalReads.read` on this repository. */
  read(args: readonly string[], input?: string): Promise<string> {
    return this.#options.reads.read(this.#options.folder, args, input)
  }

  /**
   * Runs `git COMMAND` in a process group, with the user's git configuration.
   * @param args options before the command (`-c name=value`) and all arguments after it
   * @returns stdout
   */
  async run(
    command: string,
    args: { before?: readonly string[]; after: readonly string[] },
    options: Partial<GitRunOptions> = {},
  ): Promise<string> {
    const { failures } = this.#options
    const { before = [], after } = args
    const result = await this.#start([...before, command, ...after], options)
    const { timedOut, exitCode, signal, stdout, stderr } = result
    if (timedOut) {
      const limit = timedOut === 'idle' ? options.idleTimeout : options.timeout
      throw failures.ofTimeout(command, timedOut, limit, stderr)
    }
    if (exitCode !== 0) throw failures.ofExit(command, exitCode ?? signal, stderr)
    return stdout
  }

  /** Returns the environment for commands that talk to the remote. */
  async remoteEnvironment(): Promise<Record<string, string>> {
    const { exitCode } = await this.#start(['config', '--get', 'core.sshCommand'], {})
    return withDefaultSsh(this.#environment, exitCode === 0)
  }

  /** Returns a Failure `unavailable` with this message, without secrets. */
  failure(message: string): Failure {
    return this.#options.failures.create(message)
  }

  #start(args: readonly string[], options: Partial<GitRunOptions>): Promise<RunResult> {
    const { groups, folder, failures } = this.#options
    return groups
      .run('git', [`--git-dir=${folder}`, ...args], { env: this.#environment, ...options })
      .catch((error) => Promise.reject(failures.create(messageOf(error))))
  }
}
