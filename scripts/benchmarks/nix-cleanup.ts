/** Removes the store paths and GC roots that benchmarks have added to the Nix store. */
import { readdir, readlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../service/image/errors.ts'
import { run } from './processes.ts'

const store = '/nix/store'
/** Nix's folder of links to GC roots. */
const indirectRoots = '/nix/var/nix/gcroots/auto'

export class NixCleanup {
  readonly #before: ReadonlySet<string>
  /** Store paths that were used; each one stands for its whole closure. */
  readonly #used = new Set<string>()

  private constructor(before: ReadonlySet<string>) {
    this.#before = before
  }

  /** Remembers the current store paths, which `remove` keeps. */
  static async begin(): Promise<NixCleanup> {
    const names = await readdir(store).catch(() => [])
    return new NixCleanup(new Set(names.map((name) => join(store, name))))
  }

  /**
   * Instantiates packages of a package set. `remove` deletes them with their closures.
   * @returns their derivations
   */
  async instantiate(
    folder: string,
    attributes: readonly string[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const args = attributes.flatMap((attribute) => ['-A', attribute])
    const derivations = await run('nix-instantiate', [folder, ...args], { signal })
    const paths = derivations.trim().split('\n')
    for (const path of paths) this.#note(path)
    return paths
  }

  /** Marks the targets of the GC roots in a folder for `remove`, such as the source trees of a service. */
  async noteRoots(folder: string): Promise<void> {
    for (const { storePath } of await rootsIn(folder)) this.#note(storePath)
  }

  /**
   * Removes the GC roots that are or were in the folder. Also removes the closures of their targets and of noted
   * packages from the store, except paths that were there before. Nix keeps paths that others have started to use.
   */
  async remove(folder: string): Promise<void> {
    for (const { link, storePath } of await rootsIn(folder)) {
      this.#note(storePath)
      await unlink(link)
    }
    try {
      await this.#deleteAdded()
    } catch (error) {
      process.stderr.write(`cannot clean up the Nix store: ${messageOf(error)}\n`)
    }
  }

  #note(path: string): void {
    if (path.startsWith(`${store}/`)) this.#used.add(path)
  }

  async #deleteAdded(): Promise<void> {
    if (this.#used.size === 0) return
    // Not the signal of the benchmarks, because the clean-up also runs after an interrupt.
    const options = { signal: new AbortController().signal }
    const query = ['--query', '--requisites', '--include-outputs', ...this.#used]
    const needed = (await run('nix-store', query, options)).trim().split('\n')
    const added = needed.filter((path) => !this.#before.has(path))
    if (added.length > 0) await run('nix-store', ['--delete', ...added], options)
  }
}

interface Root {
  /** Link in Nix's folder of GC roots. */
  readonly link: string
  /** Empty if the root itself does not exist any more. */
  readonly storePath: string
}

async function rootsIn(folder: string): Promise<Root[]> {
  const links = (await readdir(indirectRoots).catch(() => [])).map((name) =>
    join(indirectRoots, name),
  )
  const roots = await Promise.all(
    links.map(async (link) => {
      const target = await readlink(link).catch(() => '')
      if (!target.startsWith(`${folder}/`)) return undefined
      return { link, storePath: await readlink(target).catch(() => '') }
    }),
  )
  return roots.filter((root) => root !== undefined)
}
