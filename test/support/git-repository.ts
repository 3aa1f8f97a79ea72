/** Real git repositories for tests, independent of the user's git configuration. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const environment = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ann Author',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Ann Author',
  GIT_COMMITTER_EMAIL: 'ann@example.com',
}
const firstCommit = Date.UTC(2024, 0, 1) / 1000

/** Path → content of a file, `{ link: target }`, or `{ executable: content }`. */
export type Files = Readonly<Record<string, string | { link: string } | { executable: string }>>

/** Repository with a work tree on branch `main`. The commit ids are the same in every run. */
export class GitRepositoryBuilder {
  readonly folder: string
  readonly url: string
  #commits = 0

  private constructor(folder: string) {
    this.folder = folder
    this.url = pathToFileURL(folder).href
  }

  /** Creates an empty repository in a new temporary folder. */
  static async create(...options: string[]): Promise<GitRepositoryBuilder> {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-git-'))
    const repository = new GitRepositoryBuilder(folder)
    await repository.git('init', '--quiet', '--initial-branch=main', '--template=', ...options)
    return repository
  }

  /** Runs git in the work tree. Returns its stdout without the last line end. */
  async git(...args: string[]): Promise<string> {
    const date = `${firstCommit + this.#commits} +0000`
    const env = { ...environment, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date }
    const { stdout } = await run('git', args, { cwd: this.folder, env, maxBuffer: 2 ** 26 })
    return stdout.trimEnd()
  }

  /** Adds or changes files and commits the work tree. @returns the full commit id */
  async commit(files: Files = {}): Promise<string> {
    this.#commits += 1
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.folder, path)
      await mkdir(dirname(file), { recursive: true })
      if (typeof content === 'string') await writeFile(file, content)
      else if ('link' in content) await symlink(content.link, file)
      else {
        await writeFile(file, content.executable)
        await chmod(file, 0o755)
      }
    }
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '--allow-empty', `--message=commit ${this.#commits}`)
    return this.git('rev-parse', 'HEAD')
  }

  /** Creates or moves a lightweight tag, with any name that git allows for refs. */
  async tag(name: string, target = 'HEAD'): Promise<void> {
    await this.git('update-ref', `refs/tags/${name}`, await this.git('rev-parse', target))
  }

  /** Creates or moves an annotated tag. @returns the id of the tag object */
  async annotatedTag(name: string, target = 'HEAD'): Promise<string> {
    await this.git('tag', '--annotate', '--force', `--message=${name}`, '--', name, target)
    return this.git('rev-parse', `refs/tags/${name}`)
  }

  /** Creates or moves a branch as a force-push does, also the one that is checked out. */
  async branch(name: string, target = 'HEAD'): Promise<void> {
    await this.git('update-ref', `refs/heads/${name}`, await this.git('rev-parse', target))
  }

  /** Deletes a ref by its full name. */
  async delete(ref: string): Promise<void> {
    await this.git('update-ref', '-d', ref)
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }
}
