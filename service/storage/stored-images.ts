/** Finished images: from memory, else from their records if everything that they name is stored. */

import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { type Descriptor, type Digest, mediaTypes } from '../image/descriptor.ts'
import type { Document } from '../image/manifest.ts'
import type { Blobs } from './blobs.ts'
import type { ImageRecord } from './ports.ts'
import type { Records } from './records.ts'

/** An image that can be answered without any storage. */
export interface StoredImage {
  readonly key: string
  readonly record: ImageRecord
  readonly oci: Document
  readonly docker: Document
  /** Digests of all that it needs: layers, config, manifests. */
  readonly blobs: ReadonlySet<Digest>
}

/** Bytes of manifests held in memory: a manifest has some kilobytes, so these are thousands. */
const memory = 32 * 1024 * 1024

const blobReference = z.object({ digest: z.string(), size: z.number() })
/** Blobs whose size is remembered. */
const mostBlobs = 100_000

const manifest = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([mediaTypes.ociManifest, mediaTypes.dockerManifest]),
  config: blobReference,
  layers: z.array(blobReference),
})

export class StoredImages {
  readonly #records: Records<ImageRecord>
  readonly #blobs: Blobs
  readonly #images = new LRUCache<string, StoredImage>({
    maxSize: memory,
    sizeCalculation: ({ oci, docker }) => oci.bytes.length + docker.bytes.length + 1024,
  })
  readonly #documents = new LRUCache<Digest, Document>({
    maxSize: memory,
    sizeCalculation: ({ bytes }) => bytes.length + 1024,
  })

  /** Bytes of the blobs of images that were in memory. */
  readonly #sizes = new LRUCache<Digest, number>({
    // Not `max`: for that all of them would be given room at once, which takes 30 ms at each start.
    maxSize: mostBlobs,
    sizeCalculation: () => 1,
  })

  constructor(records: Records<ImageRecord>, blobs: Blobs) {
    this.#records = records
    this.#blobs = blobs
  }

  /** An image that is in memory already. */
  remembered(imageKey: string): StoredImage | undefined {
    return this.#images.get(imageKey)
  }

  /** The image of a record, or undefined if there is none or a blob of it is lost. */
  async load(imageKey: string): Promise<StoredImage | undefined> {
    const record = await this.#records.get(imageKey)
    return record === undefined ? undefined : this.keep(imageKey, record)
  }

  /** The same, if another instance has stored it meanwhile. */
  async loadFresh(imageKey: string): Promise<StoredImage | undefined> {
    const record = await this.#records.fresh(imageKey)
    return record === undefined ? undefined : this.keep(imageKey, record)
  }

  /**
   * Takes an image whose record is stored into memory, if it is complete.
   * @param manifests those of them that are at hand, as they were stored
   */
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
    const found = await Promise.all(needed.map(({ digest }) => this.#blobs.confirm(digest)))
    if (needed.some(({ size }, index) => found[index]?.size !== size)) return undefined
    const digests = [oci, docker].map(({ descriptor }) => descriptor.digest)
    const blobs = new Set([...needed.map(({ digest }) => digest), ...digests])
    const image = { key: imageKey, record, oci, docker, blobs }
    this.#images.set(imageKey, image)
    for (const { digest, size } of needed) this.#sizes.set(digest, size)
    return image
  }

  /** Whether this is still what would be answered. */
  holds(image: StoredImage): boolean {
    return this.#images.get(image.key) === image
  }

  /** Whether a manifest is in memory as it was. */
  holdsDocument(document: Document): boolean {
    return this.#documents.get(document.descriptor.digest) === document
  }

  /** Bytes that a blob must have, if an image told so. */
  sizeOf(digest: Digest): number | undefined {
    return this.#sizes.get(digest)
  }

  /** A stored manifest. Blobs that are no manifests are not found here. */
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

  /** A blob is not where it should be: images that need it are looked up in storage again. */
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
