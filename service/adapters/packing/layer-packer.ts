/** Packs layers in worker threads, so that the service goes on answering requests. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LayerPacker as Packer } from '../../build/ports.ts'
import type { StorePath } from '../../closure/closure.ts'
import { Failure } from '../../image/errors.ts'
import type { Compression } from '../../image/keys.ts'
import type { LinkFarm } from '../../image/link-farm.ts'
import type { PackedLayer } from '../../storage/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import { storeFolder } from '../tar/store-entries.ts'
import type { LayerContent, PackOutcome, WorkerStarted } from './worker-messages.ts'
import { WorkerPool } from './worker-pool.ts'

/** Seconds after which a full disk may have space again. */
const retryAfter = 30

/** Error codes of a staging folder that cannot be written to. */
const storageFull: Record<string, string> = {
  ENOSPC: 'no space is left on its file system',
  EDQUOT: 'its disk quota is used up',
  EROFS: 'its file system is read-only',
}

export interface LayerPackerOptions {
  /** Existing folder for layer files, best on the file system where they will be stored. */
  readonly folder: string
  readonly compression: Compression
  /** Maximum number of layers that are packed at a time. */
  readonly concurrency: number
  readonly log: Log
  /** True if the MD5 of layer files is computed. @default false */
  readonly md5?: boolean
  /**
   * Folder of this machine that stands for /nix/store. Store paths always begin with /nix/store.
   * @default '/nix/store'
   */
  readonly storeFolder?: string
}

export class LayerPacker implements Packer {
  readonly #folder: string
  readonly #storeFolder: string
  readonly #md5: boolean
  readonly #log: Log
  readonly #workers: WorkerPool
  #logged: string | undefined

  constructor(options: LayerPackerOptions) {
    const { folder, compression, concurrency, log } = options
    this.#folder = folder
    this.#storeFolder = options.storeFolder ?? storeFolder
    this.#md5 = options.md5 ?? false
    this.#log = log
    this.#workers = new WorkerPool({
      concurrency,
      settings: { compression },
      onStarted: (started) => this.#logCompressor(started),
    })
  }

  /** Starts a worker, so that the first layer does not wait for it, and logs the compressor. */
  prepare(): void {
    this.#workers.prepare()
  }

  /**
   * Packs the layer of store paths, whose order has no influence.
   * @throws Failure unavailable, if the staging folder cannot be written to; Error, if a path cannot be read
   */
  async packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer> {
    return this.#pack({ kind: 'store-paths', paths })
  }

  /**
   * Packs the layer of an image's root.
   * @throws like packStorePaths
   */
  async packLinkFarm(linkFarm: LinkFarm): Promise<PackedLayer> {
    return this.#pack({ kind: 'link-farm', linkFarm })
  }

  /** Stops packing at once; layers that are being packed fail. */
  async close(): Promise<void> {
    await this.#workers.close()
  }

  /** Logs the compressor once, and again if a later worker selects another one: a library may be installed later. */
  #logCompressor({ compressor, unusedLibraries }: WorkerStarted): void {
    const found = JSON.stringify([compressor, unusedLibraries])
    if (found === this.#logged) return
    this.#logged = found
    this.#log.info({ compressor }, 'compressor of layers selected')
    for (const unused of unusedLibraries) {
      this.#log.warn(unused, 'library is not used: layers are compressed several times slower')
    }
  }

  async #pack(content: LayerContent): Promise<PackedLayer> {
    const path = join(this.#folder, `layer-${randomUUID()}`)
    const job = { content, storeFolder: this.#storeFolder, path, md5: this.#md5 }
    const outcome = await this.#workers.run(job)
    if (!outcome.ok) {
      // A worker removes its file, unless it died.
      await rm(path, { force: true })
      throw packingError(outcome, this.#folder)
    }
    for (const collision of outcome.packed.collisions) {
      this.#log.debug(collision, 'several packages have the same file')
    }
    return { ...outcome.packed.layer, discard: () => rm(path, { force: true }) }
  }
}

/** Returns the error for a layer that could not be packed. */
export function packingError(outcome: PackOutcome & { ok: false }, folder: string): Error {
  const full = storageFull[outcome.code ?? '']
  if (full === undefined) return new Error(`a layer could not be packed: ${outcome.message}`)
  return new Failure('unavailable', `layers cannot be written to ${folder}: ${full}`, {
    retryAfter,
    cause: new Error(outcome.message),
  })
}
