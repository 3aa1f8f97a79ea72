/** The source tree of each revision, as a folder in the Nix store. */

import { LRUCache } from 'lru-cache'
import type { StorePath } from '../closure/closure.ts'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { Revision, Source } from '../source/ports.ts'
import type { NixStore } from './ports.ts'

/** Most revisions whose tree is protected from garbage collection. Exporting a tree again takes some 0.1 s. */
const mostRevisions = 100

export class SourceTrees {
  readonly #source: Source
  readonly #nix: NixStore
  /** By revision id. */
  readonly #folders = new LRUCache<string, StorePath>({
    max: mostRevisions,
    dispose: (_folder, id, reason) => {
      if (reason === 'evict') this.#nix.release(rootsOf(id)).catch(() => {})
    },
  })
  readonly #exports = new SingleFlight<StorePath>()

  constructor(source: Source, nix: NixStore) {
    this.#source = source
    this.#nix = nix
  }

  /** Returns the folder with the tree of a revision: the live folder, or a store path. */
  async folderOf(revision: Revision): Promise<string> {
    if (revision.liveFolder !== undefined) return revision.liveFolder
    const known = this.#folders.get(revision.id)
    if (known !== undefined && (await this.#nix.has(known))) return known
    return this.#exports.run(revision.id, async () => {
      const folder = await this.#nix.addSource(rootsOf(revision.id), (target) =>
        this.#source.export(revision, target),
      )
      this.#folders.set(revision.id, folder)
      return folder
    })
  }
}

/** Returns the name of the GC roots that protect a tree between two evaluations. */
function rootsOf(id: string): string {
  return `source-${id}`
}
