/** Package set in a local folder. Each pull evaluates the current files of the folder. */

import { Failure } from '../image/errors.ts'
import type { Revision, Source, SourceStatus } from './ports.ts'

export class PathSource implements Source {
  readonly #folder: string
  readonly #readFailure: (file: string) => string | undefined

  /**
   * @param folder absolute; holds the package set's `default.nix`
   * @param readFailure returns why a file cannot be read; undefined if it can be read
   */
  constructor(folder: string, readFailure: (file: string) => string | undefined) {
    this.#folder = folder
    this.#readFailure = readFailure
  }

  async resolve(tag: string): Promise<Revision> {
    if (tag === 'latest') return { id: 'live', liveFolder: this.#folder }
    throw new Failure(
      'manifest-unknown',
      `there is no tag "${tag}": this registry serves a folder, which has the tag "latest" only`,
      { detail: { tag, nearest: ['latest'] } },
    )
  }

  tags(): readonly string[] {
    return ['latest']
  }

  async export(): Promise<void> {
    throw new TypeError('a live folder is evaluated where it is')
  }

  status(): SourceStatus {
    const failure = this.#readFailure(`${this.#folder}/default.nix`)
    return failure === undefined ? { ready: true } : { ready: false, failure }
  }
}
