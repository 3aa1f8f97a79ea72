/** Images that the package set declares in `slipway.json`, by commit. */

import { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { Failure } from '../image/errors.ts'
import type { CommittedFiles } from '../source/ports.ts'
import { type PrebuildConfig, parsePrebuildConfig, prebuildConfigPath } from './slipway-json.ts'

/** Most characters of all files in the cache: a few thousand commits. */
const mostCharacters = 4 * 1024 * 1024
/** Characters that an entry counts in addition to its file, so that commits without a file are limited, too. */
const overhead = 100

export class DeclaredImages {
  readonly #repository: CommittedFiles
  /** Never stale: a file at a commit does not change. */
  readonly #cache = new LRUCache<string, PrebuildConfig | Failure>({ maxSize: mostCharacters })
  readonly #reads = new SingleFlight<PrebuildConfig | Failure>()

  constructor(repository: CommittedFiles) {
    this.#repository = repository
  }

  /**
   * Returns the content of the file at a commit, or why it is invalid. A commit without the file declares
   * no images.
   * @throws Failure unavailable, if git cannot be read
   */
  async at(commit: string): Promise<PrebuildConfig | Failure> {
    return this.#cache.get(commit) ?? this.#reads.run(commit, () => this.#read(commit))
  }

  async #read(commit: string): Promise<PrebuildConfig | Failure> {
    const text = (await this.#repository.readFile(commit, prebuildConfigPath)) ?? '{}'
    const config = parsePrebuildConfig(text)
    this.#cache.set(commit, config, { size: text.length + overhead })
    return config
  }
}
