/** Reads local repositories through simple-git. All reads share one limit of processes. */
import { getSystemErrorName } from 'node:util'
import type { SimpleGit } from 'simple-git'
import { type Failure, messageOf } from '../../image/errors.ts'
import { startFailure } from '../process/run.ts'
import { localGitEnvironment } from './environment.ts'
import type { GitFailures } from './failures.ts'

/** Most git processes at a time. Clients cause reads, for example by pulling commit ids that do not exist. */
const mostProcesses = 4
const defaultIdleTimeout = 30_000
/** Milliseconds to wait for the rest of the output after git has ended. */
const outputLimit = 10_000

/** Fields of the error of a failed read. */
interface ReadError {
  /** The option of simple-git that ended the command. */
  readonly plugin?: string
  /** Null if a signal ended the command. A negative number is the error number of a failed start. */
  readonly exitCode?: number | null
  readonly stderr?: string
}

export interface LocalReadsOptions {
  readonly failures: GitFailures
  readonly environment: NodeJS.ProcessEnv
  /** Ends all reads when the service shuts down. */
  readonly signal: AbortSignal
  /** Milliseconds without output after which a read is ended, because the disk hangs. @default 30,000 */
  readonly idleTimeout?: number
}

export class LocalReads {
  readonly #options: LocalReadsOptions
  readonly #idleTimeout: number
  #git: Promise<SimpleGit> | undefined
  /** Texts for stdin. The key is a configuration variable in git's arguments, by which simple-git requests them. */
  readonly #inputs = new Map<string, string>()
  #inputCount = 0

  constructor(options: LocalReadsOptions) {
    this.#options = options
    this.#idleTimeout = options.idleTimeout ?? defaultIdleTimeout
  }

  /**
   * Runs a git command that reads a repository. The configuration of user and system has no influence.
   * @param args the command and its arguments
   * @param input text for stdin
   * @returns stdout
   * @throws Failure unavailable
   */
  async read(gitDir: string, args: readonly string[], input?: string): Promise<string> {
    this.#git ??= this.#open()
    const git = await this.#git
    this.#inputCount += 1
    const variable = `slipway.input=${this.#inputCount}`
    if (input !== undefined) this.#inputs.set(variable, input)
    try {
      return await git.raw([`--git-dir=${gitDir}`, '-c', variable, ...args])
    } catch (error) {
      throw this.#failure(args[0] ?? '', error as Error & ReadError)
    } finally {
      this.#inputs.delete(variable)
    }
  }

  async #open(): Promise<SimpleGit> {
    const { GitError, GitPluginError, simpleGit } = await import('simple-git')
    const git = simpleGit({
      // The folder in which the service was started may be deleted.
      baseDir: '/',
      maxConcurrentProcesses: mostProcesses,
      timeout: { block: this.#idleTimeout },
      abort: this.#options.signal,
      // A read ends with its output. With `onExit: false` simple-git 4.0 leaks 340 bytes a read.
      completion: { onClose: true, onExit: outputLimit },
      input: ([, , variable = '']) => this.#inputs.get(variable),
      // Without this, a command that fails and prints nothing on stderr counts as a success.
      errors: (error, { exitCode, stdErr }) => {
        if (exitCode === 0 || error instanceof GitPluginError) return error
        const stderr = Buffer.concat(stdErr).toString()
        return Object.assign(new GitError(undefined, ''), { exitCode, stderr } satisfies ReadError)
      },
      allowEnvironment: ['GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM'],
      unsafe: { allowUnsafeConfigPaths: true },
    })
    return git.env(localGitEnvironment(this.#options.environment))
  }

  #failure(command: string, error: Error & ReadError): Failure {
    const { failures } = this.#options
    const { plugin, exitCode, stderr = '' } = error
    if (plugin === 'timeout') return failures.ofTimeout(command, 'idle', this.#idleTimeout)
    if (plugin === 'abort') return failures.create('the service is shutting down')
    if (exitCode === undefined) return failures.create(`git ${command}: ${messageOf(error)}`)
    if (exitCode === null) return failures.ofExit(command, 'killed', stderr)
    if (exitCode >= 0) return failures.ofExit(command, exitCode, stderr)
    return failures.create(startFailure('git', getSystemErrorName(exitCode)))
  }
}
