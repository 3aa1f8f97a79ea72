/** A packer whose layers hold only the names of the packages or store paths that were to be packed. */
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
  /** Called before each layer is packed, with the names that it will hold; may wait or throw. */
  before: (names: string) => void | Promise<void> = () => {}
  /** Another value gives other bytes for the same tar, like another way of compressing. */
  compression = 'a'

  /** @param folder for layer files */
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

  async pack(names: string): Promise<PackedLayer> {
    this.#journal.push(`pack ${names}`)
    await this.before(names)
    const tar = Buffer.from(names)
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
