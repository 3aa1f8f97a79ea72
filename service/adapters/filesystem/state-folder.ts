/**
 * The folder for data that may be lost: mirrors, GC roots, temporary files. Only one process may use it:
 * `scripts/start` locks it.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../image/errors.ts'

export class StateFolder {
  readonly path: string
  /** Permanent name of this instance, for its own files and records in a storage that it may share. */
  readonly instance: string
  /** Folder for temporary files, such as source trees before they are in the Nix store; empty at the start. */
  readonly temporary: string
  /** Folder for GC roots; empty at the start. */
  readonly roots: string
  /** Empty folder, the home of programs that must not find any configuration. */
  readonly emptyHome: string

  private constructor(path: string, instance: string) {
    this.path = path
    this.instance = instance
    this.temporary = join(path, 'run/tmp')
    this.roots = join(path, 'run/gcroots')
    this.emptyHome = join(path, 'run/home')
  }

  /**
   * Creates the folder if it is missing, and removes what an earlier process left in it.
   * @throws Error if the folder cannot be written
   */
  static async open(path: string): Promise<StateFolder> {
    try {
      // It contains a private repository, so only the user of the service may read it.
      await mkdir(path, { recursive: true, mode: 0o700 })
      const state = new StateFolder(path, await readInstance(path))
      for (const folder of [state.temporary, state.roots, state.emptyHome]) {
        await rm(folder, { recursive: true, force: true })
        await mkdir(folder, { recursive: true })
      }
      return state
    } catch (error) {
      throw new Error(`the state folder ${path} cannot be used: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }
}

/** Returns the name in the file `instance`. If there is none, writes a new one. */
async function readInstance(path: string): Promise<string> {
  const file = join(path, 'instance')
  const known = await readFile(file, 'utf8').catch(() => '')
  if (/^[0-9a-f-]{36}$/.test(known)) return known
  const fresh = randomUUID()
  await writeFile(file, fresh)
  return fresh
}
