/** Packed layers: each is packed once, stored under its digest, and remembered under its layer key. */

import { z } from 'zod'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { digestSchema, sizeSchema } from '../image/descriptor.ts'
import type { Layer } from '../image/manifest.ts'
import type { BlobStore, DiskSpace, PackedLayer, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { BuildMetrics } from './ports.ts'

/** What `layers/<layer key>` holds. */
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
  /** Bytes that the layer takes at most while it is packed. */
  readonly size: number
  /** Called only if the layer is not stored yet. */
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
  readonly #records: RecordStore<LayerRecord>
  readonly #blobs: BlobStore
  readonly #space: DiskSpace
  readonly #metrics: BuildMetrics
  readonly #log: Log
  readonly #flights = new SingleFlight<LayerRecord>()

  constructor({ records, blobs, space, metrics, log }: LayerCacheOptions) {
    this.#records = records
    this.#blobs = blobs
    this.#space = space
    this.#metrics = metrics
    this.#log = log
  }

  /** The layer, stored whole. */
  async get(request: LayerRequest): Promise<Layer> {
    const { key, description } = request
    const { digest, size, diffId } = await this.#flights.run(key, () => this.#find(request))
    return { digest, size, diffId, description }
  }

  async #find({ key, size, pack }: LayerRequest): Promise<LayerRecord> {
    const known = await this.#records.get(key)
    if (known !== undefined && (await this.#isStored(known))) {
      this.#metrics.layerTaken('reused')
      return known
    }
    const packed = await this.#space.hold(size, async () => {
      const packed = await pack()
      this.#metrics.layerTaken('packed')
      await this.#blobs.putLayer(packed)
      return packed
    })
    const { digest, diffId, tarSize } = packed
    const record = { digest, size: packed.file.size, diffId, tarSize }
    const settled = await this.#records.settle(key, record)
    // The layer of a record that somebody else wrote may be lost.
    if (settled === record || (await this.#isStored(settled))) return settled
    this.#log.warn({ layer: key, lost: settled.digest }, 'a stored layer was lost: packed again')
    await this.#records.replace(key, record)
    return record
  }

  async #isStored({ digest, size }: LayerRecord): Promise<boolean> {
    return (await this.#blobs.statRecorded(digest))?.size === size
  }
}
