/** Git repository with the example package set, which a test may change. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const script = resolve(import.meta.dirname, '../../scripts/make-package-set')

export class PackageSet implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Creates a repository with the annotated tags release-v1 and release-v2, as in the quickstart. */
  static async create(): Promise<PackageSet> {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-packages-'))
    await run(script, [folder])
    return new PackageSet(folder)
  }

  /** Runs git in the work tree and returns its stdout. */
  async git(...args: string[]): Promise<string> {
    const identity = ['-c', 'user.name=example', '-c', 'user.email=example@example.com']
    return (await run('git', ['-C', this.folder, ...identity, ...args])).stdout.trim()
  }

  /** Writes a file and commits it. @returns the new commit */
  async commit(path: string, content: string): Promise<string> {
    const file = join(this.folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '--message', `change ${path}`)
    return this.git('rev-parse', 'HEAD')
  }

  /** Replaces a text in a file and commits it. @returns the new commit */
  async replace(path: string, old: string, by: string): Promise<string> {
    const before = await readFile(join(this.folder, path), 'utf8')
    if (!before.includes(old)) throw new Error(`${path} does not contain "${old}"`)
    return this.commit(path, before.replace(old, by))
  }

  /** Adds attributes to the set. @returns the new commit */
  addAttributes(expressions: Readonly<Record<string, string>>): Promise<string> {
    const before = '  custom-service ='
    const added = Object.entries(expressions).map(
      ([name, expression]) => `  ${name} = ${expression};\n`,
    )
    return this.replace('default.nix', before, `${added.join('')}${before}`)
  }

  /** Adds packages that shell scripts build and that no Nix store has yet. @returns the new commit */
  add(scripts: Readonly<Record<string, string>>): Promise<string> {
    const expressions = Object.entries(scripts).map(([name, script]) => [
      name,
      `package { name = "${name}"; salt = "${randomUUID()}"; script = ''${script}''; }`,
    ])
    return this.addAttributes(Object.fromEntries(expressions))
  }

  /** Builds an attribute by Nix without Slipway. @returns its store path */
  async build(attribute: string): Promise<string> {
    const { stdout } = await run('nix-build', [this.folder, '--no-out-link', '-A', attribute])
    return stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
