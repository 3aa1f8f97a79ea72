/** A remote repository, and folders for mirrors of it. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { GitMirror, type GitMirrorOptions } from '../../../service/adapters/git/mirror.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { RepositoryRefs } from '../../../service/source/ports.ts'
import { RefTable } from '../../../service/source/ref-table.ts'
import { GitRepositoryBuilder } from '../../support/git-repository.ts'
import { RecordingLog } from '../../support/recording-log.ts'

export class MirrorWorkspace implements AsyncDisposable {
  readonly state: string
  readonly origin: GitRepositoryBuilder
  readonly log = new RecordingLog()
  #groups = new ProcessGroups()

  private constructor(state: string, origin: GitRepositoryBuilder) {
    this.state = state
    this.origin = origin
  }

  /** @param options of `git init` for the remote */
  static async create(...options: string[]): Promise<MirrorWorkspace> {
    const state = await mkdtemp(join(tmpdir(), 'slipway-mirror-'))
    return new MirrorWorkspace(state, await GitRepositoryBuilder.create(...options))
  }

  /** Folder of the mirror. */
  get folder(): string {
    return join(this.state, 'mirrors', 'm')
  }

  get environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, HOME: this.state }
  }

  mirror(options: Partial<GitMirrorOptions> = {}): GitMirror {
    const { folder, environment, log } = this
    const groups = this.#groups
    return new GitMirror({ url: this.origin.url, folder, groups, log, environment, ...options })
  }

  /** Ends all git processes, as a shutdown does. Mirrors that are made afterwards work. */
  async restart(): Promise<void> {
    await this.#groups.killAll()
    this.#groups = new ProcessGroups()
  }

  /**
   * Returns an environment whose git fails these commands.
   * @param complain a shell command for what it prints on stderr
   */
  gitThatFails(commands: readonly string[], complain = 'echo broken'): Promise<NodeJS.ProcessEnv> {
    const patterns = commands.map((command) => `*" ${command} "*`).join('|')
    return this.gitThat(`case " $* " in ${patterns}) ${complain} >&2; exit 1;; esac`)
  }

  /** Returns an environment whose git runs a shell command first. */
  async gitThat(command: string): Promise<NodeJS.ProcessEnv> {
    const script = `#!/bin/sh\n${command}\nexec ${realGit()} "$@"\n`
    return this.#withGit(script)
  }

  /** Returns an environment whose git notes when it begins and ends, and how to read the notes. */
  async recordingGit(): Promise<{
    environment: NodeJS.ProcessEnv
    runs: () => Promise<{ total: number; atOnce: number }>
  }> {
    const notes = join(this.state, 'notes')
    const script = `#!/bin/sh\necho begin >> ${notes}\n${realGit()} "$@"; code=$?\necho end >> ${notes}\nexit $code\n`
    const runs = async () => {
      let running = 0
      let atOnce = 0
      let total = 0
      for (const note of (await readFile(notes, 'utf8').catch(() => '')).split('\n')) {
        if (note === 'begin') total += 1
        running += note === 'begin' ? 1 : note === 'end' ? -1 : 0
        atOnce = Math.max(atOnce, running)
      }
      expect(running).toBe(0)
      await rm(notes, { force: true })
      return { total, atOnce }
    }
    return { environment: await this.#withGit(script), runs }
  }

  async #withGit(script: string): Promise<NodeJS.ProcessEnv> {
    const bin = join(this.state, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'git'), script, { mode: 0o755 })
    return { ...this.environment, PATH: `${bin}:${process.env.PATH}` }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#groups.killAll()
    await this.origin.remove()
    await rm(this.state, { recursive: true, force: true })
  }
}

function realGit(): string {
  return execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
}

/** Returns refs as the source room looks tags up in them. */
export function tableOf(refs: RepositoryRefs): RefTable
export function tableOf(refs: RepositoryRefs | undefined): RefTable | undefined
export function tableOf(refs: RepositoryRefs | undefined): RefTable | undefined {
  return refs && new RefTable(refs.commits, refs.head)
}

/** Returns the Failure that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(Failure)
  return error as Failure
}
