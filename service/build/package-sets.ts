/** The package set's trees in the Nix store, one per revision. */

import { LRUCache } from 'lru-cache'
import type { StorePath } from '../closure/closure.ts'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { Revision, Source } from '../source/ports.ts'
import type { NixStore } from './ports.ts'

/** Revisions whose tree is kept in the Nix store: a forgotten one costs an export, some 0.1 s. */
const kept = 100

export class PackageSets {
  readonly #source: Source
  readonly #nix: NixStore
  readonly #folders = new LRUCache<string, StorePath>({
    max: kept,
    dispose: (_folder, id, reason) => {
      if (reason === 'evict') this.#nix.release(rootsOf(id)).catch(() => {})
    },
  })
  readonly #flights = new SingleFlight<StorePath>()

  constructor(source: Source, nix: NixStore) {
    this.#source = source
    this.#nix = nix
  }

  /** The folder that holds the revision's tree: a store path, unless it is live. */
  async folder(revision: Revision): Promise<string> {
    if (revision.liveFolder !== undefined) return revision.liveFolder
    const known = this.#folders.get(revision.id)
    if (known !== undefined && (await this.#nix.has(known))) return known
    return this.#flights.run(revision.id, async () => {
      const folder = await this.#nix.addSource(rootsOf(revision.id), (target) =>
        this.#source.export(revision, target),
      )
      this.#folders.set(revision.id, folder)
      return folder
    })
  }
}

/** The roots of a source tree: garbage collection must not take it between two evaluations. */
function rootsOf(id: string): string {
  return `source-${id}`
}
