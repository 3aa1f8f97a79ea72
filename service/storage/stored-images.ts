/** Finished images: in memory, or loaded from their records if all their blobs are stored. */

import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { type Descriptor, type Digest, mediaTypes } from '../image/descriptor.ts'
import type { Document } from '../image/manifest.ts'
import type {
  BlobStorage,
  ImageFreshness,
  ImageRecord,
  ImageStore,
  RecordStore,
  StoredImage,
} from './ports.ts'

/** Bytes of manifests in memory. A manifest has some kilobytes, so this is room for thousands. */
const manifestMemory = 32 * 1024 * 1024
/** Blobs whose size is kept in memory. */
const mostSizes = 100_000

const blobReference = z.object({ digest: z.string(), size: z.number() })

const manifest = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([mediaTypes.ociManifest, mediaTypes.dockerManifest]),
  config: blobReference,
  layers: z.array(blobReference),
})

export class StoredImages implements ImageStore, ImageFreshness {
  readonly #records: RecordStore<ImageRecord>
  readonly #blobs: Pick<BlobStorage, 'document' | 'statRecorded'>
  readonly #images = new LRUCache<string, StoredImage>({
    maxSize: manifestMemory,
    sizeCalculation: ({ oci, docker }) => oci.bytes.length + docker.bytes.length + 1024,
  })
  readonly #documents = new LRUCache<Digest, Document>({
    maxSize: manifestMemory,
    sizeCalculation: ({ bytes }) => bytes.length + 1024,
  })

  /** Bytes of each blob of the images that were in memory. */
  readonly #sizes = new LRUCache<Digest, number>({
    // `max` would allocate all entries at once, which takes 30 ms at each start.
    maxSize: mostSizes,
    sizeCalculation: () => 1,
  })

  constructor(
    records: RecordStore<ImageRecord>,
    blobs: Pick<BlobStorage, 'document' | 'statRecorded'>,
  ) {
    this.#records = records
    this.#blobs = blobs
  }

  remembered(imageKey: string): StoredImage | undefined {
    return this.#images.get(imageKey)
  }

  async load(imageKey: string): Promise<StoredImage | undefined> {
    const record = await this.#records.get(imageKey)
    return record === undefined ? undefined : this.keep(imageKey, record)
  }

  async loadFresh(imageKey: string): Promise<StoredImage | undefined> {
    const record = await this.#records.fresh(imageKey)
    return record === undefined ? undefined : this.keep(imageKey, record)
  }

  async keep(
    imageKey: string,
    record: ImageRecord,
    manifests: readonly Document[] = [],
  ): Promise<StoredImage | undefined> {
    for (const document of manifests) this.#documents.set(document.descriptor.digest, document)
    const [oci, docker] = await Promise.all([
      this.document(record.oci.digest),
      this.document(record.docker.digest),
    ])
    if (oci === undefined || docker === undefined) return undefined
    const needed = blobsOf(oci)
    const found = await Promise.all(needed.map(({ digest }) => this.#blobs.statRecorded(digest)))
    if (needed.some(({ size }, index) => found[index]?.size !== size)) return undefined
    const digests = [oci, docker].map(({ descriptor }) => descriptor.digest)
    const blobs = new Set([...needed.map(({ digest }) => digest), ...digests])
    const image = { key: imageKey, record, oci, docker, blobs }
    this.#images.set(imageKey, image)
    for (const { digest, size } of needed) this.#sizes.set(digest, size)
    return image
  }

  holds(image: StoredImage): boolean {
    return this.#images.get(image.key) === image
  }

  holdsDocument(document: Document): boolean {
    return this.#documents.get(document.descriptor.digest) === document
  }

  sizeOf(digest: Digest): number | undefined {
    return this.#sizes.get(digest)
  }

  async document(digest: Digest): Promise<Document | undefined> {
    const remembered = this.#documents.get(digest)
    if (remembered !== undefined) return remembered
    const bytes = await this.#blobs.document(digest)
    if (bytes === undefined) return undefined
    const mediaType = readManifest(bytes)?.mediaType
    if (mediaType === undefined) return undefined
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length }
    const document = { descriptor, bytes }
    this.#documents.set(digest, document)
    return document
  }

  forgetBlob(digest: Digest): void {
    for (const [key, image] of this.#images.entries()) {
      if (image.blobs.has(digest)) this.#images.delete(key)
    }
  }
}

function blobsOf({ bytes }: Document): { digest: Digest; size: number }[] {
  const read = readManifest(bytes)
  if (read === undefined) return []
  return [read.config, ...read.layers].map(({ digest, size }) => ({
    digest: digest as Digest,
    size,
  }))
}

function readManifest(bytes: Uint8Array): z.infer<typeof manifest> | undefined {
  try {
    return manifest.parse(JSON.parse(Buffer.from(bytes).toString()))
  } catch {
    return undefined
  }
}
