/** Writes layers that hold nothing but the names of what they should hold. */

import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LayerPacker } from '../../service/build/ports.ts'
import { type StorePath, storePathName } from '../../service/closure/closure.ts'
import { sha256Digest } from '../../service/image/descriptor.ts'
import type { LinkFarm } from '../../service/image/link-farm.ts'
import type { PackedLayer } from '../../service/storage/ports.ts'

export class FakePacker implements LayerPacker {
  readonly #folder: string
  readonly #journal: string[]
  /** Runs before each pack, with the names of what it packs; may wait or throw. */
  before: (what: string) => void | Promise<void> = () => {}
  /** Changes when the packer changes how it compresses: other bytes for the same tar. */
  compression = 'a'

  /** @param folder where layer files are made */
  constructor(folder: string, journal: string[] = []) {
    this.#folder = folder
    this.#journal = journal
  }

  packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer> {
    return this.pack(paths.map(storePathName).join(' '))
  }

  packLinkFarm(linkFarm: LinkFarm): Promise<PackedLayer> {
    return this.pack(`link-farm of ${linkFarm.packages.map(({ name }) => name).join(' ')}`)
  }

  async pack(what: string): Promise<PackedLayer> {
    this.#journal.push(`pack ${what}`)
    await this.before(what)
    const tar = Buffer.from(what)
    const bytes = Buffer.concat([Buffer.from(this.compression), tar])
    const path = join(this.#folder, `layer-${randomUUID()}`)
    await writeFile(path, bytes)
    return {
      file: { path, size: bytes.length },
      digest: sha256Digest(bytes),
      diffId: sha256Digest(tar),
      tarSize: tar.length,
      discard: () => rm(path, { force: true }),
    }
  }
}
