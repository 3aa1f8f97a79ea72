/** Blobs of a remote back end, with a cache of their sizes: each `stat` would be a round trip. */

import type { Digest } from '../image/descriptor.ts'
import { messageOf } from '../image/errors.ts'
import type { Document } from '../image/manifest.ts'
import type { Log } from '../telemetry/ports.ts'
import { type Blobs, largestDocument } from './blobs.ts'
import { LookupCache } from './lookup-cache.ts'
import type { BlobStorage, ByteRange, PackedLayer } from './ports.ts'

/** Bytes of the cache: some 50,000 blobs. */
const cacheSize = 16 * 1024 * 1024
/** Bytes of one entry. */
const entrySize = 100
/** Milliseconds after which the presence of a known blob is checked again. */
const recheckInterval = 1_800_000

interface KnownSize {
  /** Bytes. */
  readonly size: number
  /** Time of the last check, on the clock of performance.now(). */
  checkedAt: number
}

export interface CachedBlobsOptions {
  readonly blobs: Blobs
  /** Called with each blob that is found to be lost: it was stored, and is missing now. */
  readonly onLost?: (digest: Digest) => void
  readonly log: Log
}

export class CachedBlobs implements BlobStorage {
  readonly #blobs: Blobs
  readonly #onLost: (digest: Digest) => void
  readonly #log: Log
  readonly #sizes = new LookupCache<KnownSize>(cacheSize)

  constructor({ blobs, onLost = () => {}, log }: CachedBlobsOptions) {
    this.#blobs = blobs
    this.#onLost = onLost
    this.#log = log
  }

  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    const known = this.#sizes.get(digest)
    if (known === undefined) return this.#checkPresence(digest)
    if (known === 'absent') return undefined
    if (performance.now() - known.checkedAt > recheckInterval) this.#recheck(digest, known)
    return { size: known.size }
  }

  async statRecorded(digest: Digest): Promise<{ size: number } | undefined> {
    const isAbsent = this.#sizes.get(digest) === 'absent'
    return isAbsent ? this.#checkPresence(digest) : this.stat(digest)
  }

  async send(
    digest: Digest,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    const isFound = await this.#blobs.send(digest, range, take)
    if (!isFound) this.#sizes.setAbsent(digest)
    return isFound
  }

  url(digest: Digest): Promise<URL | undefined> {
    return this.#blobs.url(digest)
  }

  async readWhole(digest: Digest): Promise<Buffer | undefined> {
    const bytes = await this.#blobs.readWhole(digest)
    if (bytes === undefined) this.#sizes.setAbsent(digest)
    return bytes
  }

  /** Does not ask for an unknown size first: that would take as long as reading the document. */
  async document(digest: Digest): Promise<Buffer | undefined> {
    if ((this.#knownSize(digest) ?? 0) > largestDocument) return undefined
    const bytes = await this.#blobs.readDocument(digest)
    if (bytes !== undefined) this.#remember(digest, bytes.length)
    // Forgets the size, so that putDocument replaces a damaged document.
    else this.#sizes.forget(digest)
    return bytes
  }

  async putDocument(document: Document): Promise<void> {
    const { digest } = document.descriptor
    const { length } = document.bytes
    if (this.#knownSize(digest) === length) return
    await this.#blobs.putDocument(document)
    this.#remember(digest, length)
  }

  async putLayer(layer: PackedLayer): Promise<void> {
    const { digest, file } = layer
    if (this.#knownSize(digest) === file.size) return layer.discard()
    // Another instance may store the same blob meanwhile, so it does not count as absent.
    this.#sizes.forget(digest)
    await this.#blobs.putLayer(layer)
    this.#remember(digest, file.size)
  }

  /** Bytes of a blob that is known to be stored. */
  #knownSize(digest: Digest): number | undefined {
    const known = this.#sizes.get(digest)
    return known === 'absent' ? undefined : known?.size
  }

  async #checkPresence(digest: Digest): Promise<{ size: number } | undefined> {
    const found = await this.#blobs.stat(digest)
    if (found === undefined) this.#sizes.setAbsent(digest)
    else this.#remember(digest, found.size)
    return found
  }

  /** Checks in the background: this caller gets the known size, later callers get the result. */
  #recheck(digest: Digest, known: KnownSize): void {
    // Set before the check ends, so that concurrent callers do not start another one.
    known.checkedAt = performance.now()
    this.#checkPresence(digest).then(
      (found) => {
        if (found?.size === known.size) return
        this.#log.warn({ digest }, 'a stored blob was lost')
        this.#onLost(digest)
      },
      (error) => this.#log.debug({ digest, failure: messageOf(error) }, 'cannot check a blob'),
    )
  }

  #remember(digest: Digest, size: number): void {
    this.#sizes.set(digest, { size, checkedAt: performance.now() }, entrySize)
  }
}
