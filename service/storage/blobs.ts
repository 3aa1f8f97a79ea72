/** Blobs: everything that clients fetch by digest, stored under that digest. */

import type { Readable } from 'node:stream'
import { type Digest, hexOf, sha256Digest } from '../image/descriptor.ts'
import type { Document } from '../image/manifest.ts'
import type { Log } from '../telemetry/ports.ts'
import type {
  BlobStorage,
  ByteRange,
  ObjectStore,
  PackedLayer,
  PieceReader,
  Redirects,
} from './ports.ts'
import { brokenStream, readObject, readObjectUpTo } from './read-object.ts'

/** Most bytes of a document. Clients reject manifests of more than 4 MiB. */
export const largestDocument = 4 * 1024 * 1024

export interface BlobsOptions {
  readonly store: ObjectStore
  /** Given if the back end can read through reused buffers. */
  readonly pieces?: PieceReader | undefined
  /** Given if clients may fetch blobs directly from the back end. */
  readonly redirects?: Redirects | undefined
  readonly log: Log
}

/** Asks the back end in every call. For a remote back end, `CachedBlobs` stands in front of it. */
export class Blobs implements BlobStorage {
  readonly #store: ObjectStore
  readonly #pieces: PieceReader | undefined
  readonly #redirects: Redirects | undefined
  readonly #log: Log

  constructor({ store, pieces, redirects, log }: BlobsOptions) {
    this.#store = store
    this.#pieces = pieces
    this.#redirects = redirects
    this.#log = log
  }

  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    return isStored(digest) ? this.#store.stat(keyOf(digest)) : undefined
  }

  statRecorded(digest: Digest): Promise<{ size: number } | undefined> {
    return this.stat(digest)
  }

  async send(
    digest: Digest,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    if (!isStored(digest)) return false
    if (this.#pieces) return this.#pieces.readPieces(keyOf(digest), range, take)
    const stream = await this.#get(digest, range)
    if (stream === undefined) return false
    const pieces = stream[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await pieces.next().catch((error) => {
          throw brokenStream(error)
        })
        if (next.done) return true
        await take(next.value)
      }
    } finally {
      // Destroys the stream when `take` failed, so that the rest is not transferred.
      await pieces.return?.()
    }
  }

  async url(digest: Digest): Promise<URL | undefined> {
    return this.#redirects?.url(keyOf(digest))
  }

  async readWhole(digest: Digest): Promise<Buffer | undefined> {
    const stream = await this.#get(digest)
    const bytes = stream && (await readObject(stream))
    if (bytes === undefined) return undefined
    if (sha256Digest(bytes) === digest) return bytes
    this.#log.error({ digest }, 'a stored blob did not match its digest, and was deleted')
    // A damaged blob is useless, and would keep the right one from being stored.
    await this.#store.delete(keyOf(digest))
    return undefined
  }

  async document(digest: Digest): Promise<Buffer | undefined> {
    const found = await this.stat(digest)
    if (found === undefined || found.size > largestDocument) return undefined
    return this.readDocument(digest)
  }

  /** Like `document`, but does not ask for the size first. */
  async readDocument(digest: Digest): Promise<Buffer | undefined> {
    const stream = await this.#get(digest)
    const bytes = stream && (await readObjectUpTo(largestDocument, stream))
    if (bytes === undefined) return undefined
    if (sha256Digest(bytes) === digest) return bytes
    this.#log.error({ digest }, 'a stored document does not match its digest')
    return undefined
  }

  async putDocument({ descriptor, bytes }: Document): Promise<void> {
    const { digest, mediaType } = descriptor
    await this.#store.put(keyOf(digest), bytes, { contentType: mediaType })
  }

  async putLayer(layer: PackedLayer): Promise<void> {
    const { digest, file } = layer
    // If stat fails, `put` still runs, because it must consume the file. It fails for the same cause.
    const present = await this.stat(digest).catch(() => ({ size: Number.NaN }))
    if (present?.size === file.size) return layer.discard()
    await this.#store.put(keyOf(digest), file, {
      // A blob of another size was cut short, and is replaced.
      ifAbsent: present === undefined,
      contentType: 'application/octet-stream',
    })
  }

  async #get(digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    return isStored(digest) ? this.#store.get(keyOf(digest), range) : undefined
  }
}

function isStored(digest: Digest): boolean {
  return digest.startsWith('sha256:')
}

function keyOf(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}
