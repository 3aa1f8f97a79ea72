/** Packs layers, each in a thread of its own, so that the service goes on answering requests. */

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
import { storeFolder } from '../tar/store-tree.ts'
import type { Content, Outcome } from './job.ts'
import { ThreadPool } from './thread-pool.ts'

/** Seconds after which a full disk may have room again. */
const retryAfter = 30

/** What the system says when the staging folder takes no more bytes. */
const storageFull: Record<string, string> = {
  ENOSPC: 'no space is left on its file system',
  EDQUOT: 'its disk quota is used up',
  EROFS: 'its file system is read-only',
}

export interface LayerPackerOptions {
  /** Where layer files are made; it exists. Best on the file system where they will be stored. */
  readonly folder: string
  readonly compression: Compression
  /** Most layers that are packed at a time. */
  readonly concurrency: number
  readonly log: Log
  /** Whether layer files are told with their MD5. @default false */
  readonly md5?: boolean
  /**
   * Where /nix/store is on this machine. Store paths always begin with /nix/store.
   * @default '/nix/store'
   */
  readonly storeFolder?: string
}

export class LayerPacker implements Packer {
  readonly #folder: string
  readonly #storeFolder: string
  readonly #md5: boolean
  readonly #log: Log
  readonly #threads: ThreadPool
  #compressor: string | undefined

  constructor(options: LayerPackerOptions) {
    const { folder, compression, concurrency, log } = options
    this.#folder = folder
    this.#storeFolder = options.storeFolder ?? storeFolder
    this.#md5 = options.md5 ?? false
    this.#log = log
    this.#threads = new ThreadPool({
      concurrency,
      equipment: { compression },
      onStarted: (compressor) => this.#tell(compressor),
    })
  }

  /** Starts what the first layer would have to wait for, and tells what layers will be compressed with. */
  prepare(): void {
    this.#threads.prepare()
  }

  /**
   * The layer that holds the store paths, in whatever order they are given.
   * @throws Failure unavailable, when the staging folder takes no more bytes; Error, when a path cannot be read
   */
  async packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer> {
    return this.#pack({ kind: 'store-paths', paths })
  }

  /**
   * The layer that holds the root of an image.
   * @throws like packStorePaths
   */
  async packLinkFarm(linkFarm: LinkFarm): Promise<PackedLayer> {
    return this.#pack({ kind: 'link-farm', linkFarm })
  }

  /** Ends packing at once; layers that are being packed fail. */
  async close(): Promise<void> {
    await this.#threads.close()
  }

  /** Each thread finds a compressor by itself; they differ if one was installed meanwhile. */
  #tell(compressor: string): void {
    if (compressor === this.#compressor) return
    this.#compressor = compressor
    this.#log.info({ compressor }, 'packing layers')
  }

  async #pack(content: Content): Promise<PackedLayer> {
    const path = join(this.#folder, `layer-${randomUUID()}`)
    const job = { content, storeFolder: this.#storeFolder, path, md5: this.#md5 }
    const outcome = await this.#threads.run(job)
    if (!outcome.ok) {
      // A thread removes what it began, unless it died.
      await rm(path, { force: true })
      throw packingFailure(outcome, this.#folder)
    }
    for (const collision of outcome.packed.collisions) {
      this.#log.debug(collision, 'several packages have the same file')
    }
    return { ...outcome.packed.layer, discard: () => rm(path, { force: true }) }
  }
}

/** A layer that could not be packed, as the error that the caller gets. */
export function packingFailure(outcome: Outcome & { ok: false }, folder: string): Error {
  const full = storageFull[outcome.code ?? '']
  if (full === undefined) return new Error(`a layer could not be packed: ${outcome.message}`)
  return new Failure('unavailable', `layers cannot be written to ${folder}: ${full}`, {
    retryAfter,
    cause: new Error(outcome.message),
  })
}
