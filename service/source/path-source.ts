/** The package set in a local folder, as it is at the moment of each pull. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { Failure, messageOf } from '../image/errors.ts'
import type { Revision, Source, SourceStatus } from './source.ts'

export class PathSource implements Source {
  readonly #folder: string

  /** @param folder absolute; holds the package set's `default.nix` */
  constructor(folder: string) {
    this.#folder = folder
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
    try {
      accessSync(join(this.#folder, 'default.nix'), constants.R_OK)
      return { ready: true }
    } catch (error) {
      return { ready: false, problem: messageOf(error) }
    }
  }
}
