/** Cache of packed layers: packs each layer once, stores its blob, and records its digest by layer key. */

import { z } from 'zod'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { digestSchema, sizeSchema } from '../image/descriptor.ts'
import type { Layer } from '../image/manifest.ts'
import type { BlobStore, DiskSpace, PackedLayer, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { BuildMetrics } from './ports.ts'

/** Content of `layers/<layer key>`. */
export const layerRecord = z.object({
  digest: digestSchema,
  /** Bytes, compressed. */
  size: sizeSchema,
  diffId: digestSchema,
  /** Bytes, uncompressed. */
  tarSize: sizeSchema,
})
export type LayerRecord = z.infer<typeof layerRecord>

export interface LayerRequest {
  readonly key: string
  readonly description: string
  /** Most bytes that the layer takes on disk while it is packed. */
  readonly size: number
  /** Packs the layer. Called only if it is not stored yet. */
  readonly pack: () => Promise<PackedLayer>
}

export interface LayerCacheOptions {
  readonly records: RecordStore<LayerRecord>
  readonly blobs: BlobStore
  readonly space: DiskSpace
  readonly metrics: BuildMetrics
  readonly log: Log
}

export class LayerCache {
  readonly #options: LayerCacheOptions
  readonly #flights = new SingleFlight<LayerRecord>()

  constructor(options: LayerCacheOptions) {
    this.#options = options
  }

  /**
   * Returns the layers in the order of the requests. Rejects only after every pack has ended, because a pack
   * reads store paths, and the caller then no longer protects these from garbage collection.
   */
  async getAll(requests: readonly LayerRequest[]): Promise<Layer[]> {
    const layers = new Map<LayerRequest, Promise<Layer>>()
    // Starts with the largest layers, so that at the end no core is idle while a large layer is packed.
    for (const request of requests.toSorted((a, b) => b.size - a.size)) {
      layers.set(request, this.get(request))
    }
    const outcomes = await Promise.allSettled(requests.map((request) => layers.get(request)))
    return outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value as Layer
    })
  }

  /** Returns a layer whose blob is stored. */
  async get(request: LayerRequest): Promise<Layer> {
    const { key, description } = request
    const { digest, size, diffId } = await this.#flights.run(key, () => this.#findOrPack(request))
    return { digest, size, diffId, description }
  }

  async #findOrPack(request: LayerRequest): Promise<LayerRecord> {
    const { records, metrics } = this.#options
    const known = await records.get(request.key)
    if (known !== undefined && (await this.#isStored(known))) {
      metrics.layerTaken('reused')
      return known
    }
    return this.#record(request.key, await this.#pack(request))
  }

  /** Packs the layer and stores its blob. */
  #pack({ size, pack }: LayerRequest): Promise<LayerRecord> {
    const { blobs, space, metrics } = this.#options
    return space.hold(size, async () => {
      const packed = await pack()
      metrics.layerTaken('packed')
      await blobs.putLayer(packed)
      const { digest, diffId, tarSize, file } = packed
      return { digest, size: file.size, diffId, tarSize }
    })
  }

  /** Records a packed layer, unless another instance has recorded one that is still stored. */
  async #record(key: string, packed: LayerRecord): Promise<LayerRecord> {
    const { records, log } = this.#options
    const settled = await records.settle(key, packed)
    if (settled === packed || (await this.#isStored(settled))) return settled
    log.warn(
      { layer: key, lost: settled.digest },
      'the blob of a layer was lost; the layer was packed again',
    )
    await records.replace(key, packed)
    return packed
  }

  async #isStored({ digest, size }: LayerRecord): Promise<boolean> {
    return (await this.#options.blobs.statRecorded(digest))?.size === size
  }
}
