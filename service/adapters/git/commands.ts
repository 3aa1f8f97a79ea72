/**
 * Runs git on one bare repository. Every failure is a Failure `unavailable` with git's last words and no secret in
 * it, and without a cause: an error may quote arguments, and with them the URL.
 */
import { Failure, messageOf } from '../../image/errors.ts'
import { scrubberFor } from '../../text/scrub.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import type { RunOptions, RunResult } from '../process/run.ts'
import { localGitEnvironment, remoteGitEnvironment, withImpatientSsh } from './environment.ts'

/** Milliseconds without a byte after which a local read is ended: a disk that hangs. */
const localIdleTimeout = 30_000
/** What git says of a lock file takes seven. */
const messageLines = 8

export interface GitCommandsOptions {
  /** Of the remote; its credentials are kept out of every message. */
  readonly url: string
  /** Absolute path of the bare repository; need not exist yet. */
  readonly folder: string
  readonly groups: ProcessGroups
  readonly environment: NodeJS.ProcessEnv
}

export type GitRunOptions = Pick<RunOptions, 'cwd' | 'timeout' | 'idleTimeout' | 'env' | 'input'>

export class GitCommands {
  readonly #folder: string
  readonly #groups: ProcessGroups
  readonly #environment: Record<string, string>
  readonly #localEnvironment: Record<string, string>
  readonly #scrub: (text: string) => string

  constructor(options: GitCommandsOptions) {
    this.#folder = options.folder
    this.#groups = options.groups
    this.#environment = remoteGitEnvironment(options.environment)
    this.#scrub = scrubberFor(options.url)
    this.#localEnvironment = localGitEnvironment(options.environment, options.folder)
  }

  /**
   * A local read, which goes by nobody's configuration.
   * @param input for stdin
   * @returns stdout without white space at its end
   */
  async read(args: readonly string[], input?: string): Promise<string> {
    const options = {
      env: this.#localEnvironment,
      // The folder in which the service was started may be gone.
      cwd: '/',
      idleTimeout: localIdleTimeout,
      ...(input === undefined ? {} : { input }),
    }
    const result = await this.#start(args, options)
    this.#assertGood(`git ${args[0]}`, result, options)
    return result.stdout.trimEnd()
  }

  /**
   * Runs `git COMMAND` in a process group, with the user's git configuration.
   * @param args options before the command (`-c name=value`) and all that comes after it
   * @returns stdout
   */
  async run(
    command: string,
    args: { before?: readonly string[]; after: readonly string[]; gitDir?: string },
    options: Partial<GitRunOptions> = {},
  ): Promise<string> {
    const { before = [], after, gitDir = this.#folder } = args
    const line = [`--git-dir=${gitDir}`, ...before, command, ...after]
    const result = await this.#start(line, options)
    this.#assertGood(`git ${command}`, result, options)
    return result.stdout
  }

  /** The environment for commands that talk to the remote. */
  async remoteEnvironment(): Promise<Record<string, string>> {
    const line = [`--git-dir=${this.#folder}`, 'config', '--get', 'core.sshCommand']
    const { exitCode } = await this.#start(line, {})
    return withImpatientSsh(this.#environment, exitCode === 0)
  }

  failure(message: string): Failure {
    return new Failure('unavailable', this.#scrub(message).trim())
  }

  /** @throws Failure unavailable, if the run ended badly */
  #assertGood(what: string, result: RunResult, options: Partial<GitRunOptions>): void {
    const said = lastWords(result.stderr)
    if (result.timedOut) {
      const reason = result.timedOut === 'idle' ? 'gave no sign of life' : 'did not end'
      const limit = result.timedOut === 'idle' ? options.idleTimeout : options.timeout
      const seconds = (limit ?? 0) / 1000
      throw this.failure(`${what} ${reason} for ${seconds} s and was stopped. ${said}`)
    }
    if (result.exitCode !== 0) {
      const end = result.exitCode === undefined ? result.signal : `exit code ${result.exitCode}`
      throw this.failure(`${what} failed (${end})${said && `: ${said}`}`)
    }
  }

  #start(line: readonly string[], options: Partial<GitRunOptions>): Promise<RunResult> {
    return this.#groups
      .run('git', line, { env: this.#environment, ...options })
      .catch((error) => Promise.reject(this.failure(messageOf(error))))
  }
}

/** The end of what git said, on one line, without progress, updated refs and control characters. */
function lastWords(stderr: string): string {
  return stderr
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/\p{Cc}+/gu, ' ').trimEnd())
    .filter((line) => line !== '' && !/^(?:From | [ *+=t-] |.*: +\d+%|.*: \d+, done)/.test(line))
    .slice(-messageLines)
    .join('; ')
}
