/** Bare repository with many releases. Each release is a commit with an annotated tag. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PackageSet } from '../../test/support/package-set.ts'
import { TemporaryFolder } from '../../test/support/temporary-folder.ts'

const run = promisify(execFile)

/** Date of the first release, in seconds since 1970: old, as most releases are. */
const firstRelease = 1_577_836_800
const identity = { name: 'example', email: 'example@example.com' }

export class TagRepository implements AsyncDisposable {
  readonly #parent: TemporaryFolder
  readonly folder: string

  private constructor(parent: TemporaryFolder) {
    this.#parent = parent
    this.folder = join(parent.path, 'packages.git')
  }

  /** Creates the example package set with the tags release-1 to release-COUNT, and no others. */
  static async create(count: number, signal: AbortSignal): Promise<TagRepository> {
    const repository = new TagRepository(await TemporaryFolder.create())
    try {
      await using packages = await PackageSet.create()
      const only = ['--single-branch', '--no-tags', '--branch', 'main']
      await run('git', ['clone', '--quiet', '--bare', ...only, packages.folder, repository.folder])
      await repository.#import(releases(count), signal)
      await repository.git('pack-refs', '--all')
      return repository
    } catch (error) {
      await repository[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Runs git in the repository and returns its stdout. */
  async git(...args: string[]): Promise<string> {
    const author = ['-c', `user.name=${identity.name}`, '-c', `user.email=${identity.email}`]
    const options = { maxBuffer: 2 ** 30 }
    return (await run('git', ['-C', this.folder, ...author, ...args], options)).stdout.trim()
  }

  /** Adds a commit to main, and an annotated tag of it. */
  async release(tag: string): Promise<void> {
    const parent = ['-p', 'refs/heads/main', '-m', tag]
    const commit = await this.git('commit-tree', 'refs/heads/main^{tree}', ...parent)
    await this.git('update-ref', 'refs/heads/main', commit)
    await this.git('tag', '--annotate', '--message', tag, tag, commit)
  }

  async #import(stream: string, signal: AbortSignal): Promise<void> {
    const args = ['-C', this.folder, 'fast-import', '--quiet']
    const git = spawn('git', args, { stdio: ['pipe', 'ignore', 'inherit'], signal })
    const ended = once(git, 'close')
    // If git stops reading, its exit code says why.
    git.stdin.on('error', () => {}).end(stream)
    const [code] = await ended
    if (code !== 0) throw new Error(`git fast-import ended with ${code}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parent[Symbol.asyncDispose]()
  }
}

/**
 * Returns commits that change no file, and their tags. @see
 * https://git-scm.com/docs/git-fast-import#_input_format
 */
function releases(count: number): string {
  const lines: string[] = []
  for (let index = 1; index <= count; index += 1) {
    const person = `${identity.name} <${identity.email}> ${firstRelease + 60 * index} +0000`
    const message = `Release ${index}`
    const data = `data ${Buffer.byteLength(message)}\n${message}`
    lines.push('commit refs/heads/main', `mark :${index}`, `committer ${person}`, data)
    lines.push(index === 1 ? 'from refs/heads/main^0' : `from :${index - 1}`)
    lines.push(`tag release-${index}`, `from :${index}`, `tagger ${person}`, data)
  }
  return `${lines.join('\n')}\n`
}
