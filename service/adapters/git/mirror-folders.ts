/**
 * The folders of a mirror. A clone is made beside it, and takes its place when all has been fetched:
 *
 *     NAME.new → NAME → NAME.old, which is removed
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { exists } from '../filesystem/file-access.ts'

/** An export is the tree as committed: no path left out, no placeholder, line end or filter applied. */
const asCommitted = '* -export-ignore -export-subst -text -ident -filter !working-tree-encoding\n'

/** A lock file that is older than this was left by a git that was killed: refs are written in less. */
const staleLockAge = 60_000

export class MirrorFolders {
  /** Of the mirror itself. */
  readonly current: string
  /** Where a clone is made; what is there otherwise was left by a crash. */
  readonly next: string
  readonly #old: string

  constructor(folder: string) {
    this.current = resolve(folder)
    this.next = `${this.current}.new`
    this.#old = `${this.current}.old`
  }

  /** Whether there is a mirror. */
  exists(): Promise<boolean> {
    return exists(this.current)
  }

  async removeLeftovers(): Promise<void> {
    for (const left of [this.next, this.#old]) await rm(left, { recursive: true, force: true })
  }

  /** Makes way for a clone. */
  async clearNext(): Promise<void> {
    await rm(this.next, { recursive: true, force: true })
    await mkdir(dirname(this.next), { recursive: true })
  }

  /** The clone becomes the mirror. */
  async replaceByNext(): Promise<void> {
    // Renamed before it is removed: removing a large one takes seconds, in which there would be none.
    await rm(this.#old, { recursive: true, force: true })
    if (await this.exists()) await rename(this.current, this.#old)
    await rename(this.next, this.current)
    await rm(this.#old, { recursive: true, force: true })
  }

  /** Gives each lock file that it has removed. */
  async *removeStaleLocks(): AsyncGenerator<string> {
    for (const name of await readdir(this.current, { recursive: true })) {
      if (!name.endsWith('.lock')) continue
      const path = join(this.current, name)
      const written = (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now()
      if (Date.now() - written < staleLockAge) continue
      await rm(path, { force: true })
      yield path
    }
  }
}

/** Has exports from a repository be what was committed. */
export async function writeAttributes(gitDir: string): Promise<void> {
  await mkdir(join(gitDir, 'info'), { recursive: true })
  await writeFile(join(gitDir, 'info', 'attributes'), asCommitted)
}
