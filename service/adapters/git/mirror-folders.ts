/**
 * The folders of a mirror. A clone is made beside the mirror, and replaces it when everything is fetched:
 *
 *     NAME.new → NAME → NAME.old, which is removed
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { exists } from '../filesystem/file-access.ts'

/** Attributes for exports of exactly the committed files: no path, placeholder, line break or filter has an effect. */
const asCommitted = '* -export-ignore -export-subst -text -ident -filter !working-tree-encoding\n'

/** Age in milliseconds of a lock file that a killed git has left behind: writing refs takes less time. */
const staleLockAge = 60_000

export class MirrorFolders {
  /** Folder of the mirror. */
  readonly current: string
  /** Folder of a clone. Before a clone starts, its content is left over from a crash. */
  readonly next: string
  readonly #old: string

  constructor(folder: string) {
    this.current = resolve(folder)
    this.next = `${this.current}.new`
    this.#old = `${this.current}.old`
  }

  /** Returns whether there is a mirror. */
  exists(): Promise<boolean> {
    return exists(this.current)
  }

  async removeLeftovers(): Promise<void> {
    for (const folder of [this.next, this.#old]) await rm(folder, { recursive: true, force: true })
  }

  /** Removes the folder of a clone, and creates its parent folder. */
  async clearNext(): Promise<void> {
    await rm(this.next, { recursive: true, force: true })
    await mkdir(dirname(this.next), { recursive: true })
  }

  /** Puts the clone in the place of the mirror. */
  async replaceByNext(): Promise<void> {
    // The old mirror is renamed first. Removing it takes seconds, in which there would be no mirror.
    await rm(this.#old, { recursive: true, force: true })
    if (await this.exists()) await rename(this.current, this.#old)
    await rename(this.next, this.current)
    await rm(this.#old, { recursive: true, force: true })
  }

  /** Yields the path of each lock file that it has removed. */
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

/** Configures a repository so that its exports contain exactly the committed files. */
export async function writeAttributes(gitDir: string): Promise<void> {
  await mkdir(join(gitDir, 'info'), { recursive: true })
  await writeFile(join(gitDir, 'info', 'attributes'), asCommitted)
}
