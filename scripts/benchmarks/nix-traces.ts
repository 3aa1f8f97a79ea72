/** What a benchmark leaves in the Nix store, so that it can be taken away: store paths and GC roots. */
import { readdir, readlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../service/image/errors.ts'
import { run } from './processes.ts'

const store = '/nix/store'
/** Links to the links that stand for GC roots. */
const indirectRoots = '/nix/var/nix/gcroots/auto'

export class NixTraces {
  readonly #before: ReadonlySet<string>
  /** Store paths that something was made of or with; each stands for all that it needs. */
  readonly #used = new Set<string>()

  private constructor(before: ReadonlySet<string>) {
    this.#before = before
  }

  /** Remembers what the store holds now, and will go on to hold. */
  static async begin(): Promise<NixTraces> {
    const names = await readdir(store).catch(() => [])
    return new NixTraces(new Set(names.map((name) => join(store, name))))
  }

  /**
   * Packages of a package set that may go when all is over, with all that they need.
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

  /** The same for what GC roots in the folder hold, such as the trees that a service has evaluated. */
  async noteRoots(folder: string): Promise<void> {
    for (const { storePath } of await rootsIn(folder)) this.#note(storePath)
  }

  /**
   * Removes the roots that are or were in the folder, and from the store what is noted or was held by
   * these roots and was not there before. What others have come to use in the meantime stays.
   */
  async remove(folder: string): Promise<void> {
    for (const { link, storePath } of await rootsIn(folder)) {
      this.#note(storePath)
      await unlink(link)
    }
    try {
      await this.#deleteAdded()
    } catch (error) {
      process.stderr.write(`left in the Nix store: ${messageOf(error)}\n`)
    }
  }

  #note(path: string): void {
    if (path.startsWith(`${store}/`)) this.#used.add(path)
  }

  async #deleteAdded(): Promise<void> {
    if (this.#used.size === 0) return
    // What has to be done is not stopped.
    const options = { signal: new AbortController().signal }
    const query = ['--query', '--requisites', '--include-outputs', ...this.#used]
    const needed = (await run('nix-store', query, options)).trim().split('\n')
    const added = needed.filter((path) => !this.#before.has(path))
    if (added.length > 0) await run('nix-store', ['--delete', ...added], options)
  }
}

interface Root {
  /** In Nix's own folder. */
  readonly link: string
  /** Empty if the root itself is gone. */
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
