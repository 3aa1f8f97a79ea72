/** The example package set as a git repository that a test may change. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const maker = resolve(import.meta.dirname, '../../scripts/make-package-set')

export class PackageSet implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** With the annotated tags release-v1 and release-v2, as the quickstart makes it. */
  static async create(): Promise<PackageSet> {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-packages-'))
    await run(maker, [folder])
    return new PackageSet(folder)
  }

  /** stdout of git in the work tree. */
  async git(...args: string[]): Promise<string> {
    const identity = ['-c', 'user.name=example', '-c', 'user.email=example@example.com']
    return (await run('git', ['-C', this.folder, ...identity, ...args])).stdout.trim()
  }

  /** @returns the new commit */
  async commit(path: string, content: string): Promise<string> {
    const file = join(this.folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '--message', `change ${path}`)
    return this.git('rev-parse', 'HEAD')
  }

  /** Commits a file with a text in it replaced. @returns the new commit */
  async replace(path: string, old: string, by: string): Promise<string> {
    const before = await readFile(join(this.folder, path), 'utf8')
    if (!before.includes(old)) throw new Error(`${path} does not hold "${old}"`)
    return this.commit(path, before.replace(old, by))
  }

  /** Adds a package that a shell script builds, and that no Nix store has yet. @returns the new commit */
  add(name: string, script: string): Promise<string> {
    const before = '  custom-service ='
    const added = `  ${name} = package { name = "${name}"; salt = "${randomUUID()}"; script = ''${script}''; };`
    return this.replace('default.nix', before, `${added}\n${before}`)
  }

  /** Store path of an attribute, built by Nix without Slipway. */
  async build(attribute: string): Promise<string> {
    const { stdout } = await run('nix-build', [this.folder, '--no-out-link', '-A', attribute])
    return stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
