/** The package set in a local folder, as it is at the moment of each pull. */

import { Failure } from '../image/errors.ts'
import type { Revision, Source, SourceStatus } from './ports.ts'

export class PathSource implements Source {
  readonly #folder: string
  readonly #readFault: (file: string) => string | undefined

  /**
   * @param folder absolute; holds the package set's `default.nix`
   * @param readFault returns why a file cannot be read, or undefined if it can
   */
  constructor(folder: string, readFault: (file: string) => string | undefined) {
    this.#folder = folder
    this.#readFault = readFault
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
    const failure = this.#readFault(`${this.#folder}/default.nix`)
    return failure === undefined ? { ready: true } : { ready: false, failure }
  }
}
