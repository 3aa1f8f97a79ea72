/** Blobs: whatever clients fetch, under its digest. */

import type { Readable } from 'node:stream'
import { type Digest, hexOf, sha256Digest } from '../image/descriptor.ts'
import { messageOf } from '../image/errors.ts'
import type { Document } from '../image/manifest.ts'
import type { Log } from '../telemetry/ports.ts'
import { LookupCache } from './lookup-cache.ts'
import type {
  BlobReader,
  BlobStore,
  ByteRange,
  ObjectStore,
  PackedLayer,
  PieceReader,
  Redirects,
} from './ports.ts'
import { brokenOff, readUpTo, readWhole } from './read-whole.ts'

/** Documents above this are no manifests: clients refuse manifests of more than 4 MiB. */
const largestDocument = 4 * 1024 * 1024
/** Bytes for remembered sizes: some 50,000 blobs. */
const memory = 16 * 1024 * 1024
/** Milliseconds after which a blob that is known to be stored is looked for again. */
const recheckInterval = 1_800_000

interface Sighting {
  /** Bytes. */
  readonly size: number
  /** When it was last seen, as performance.now tells it. */
  seen: number
}

export interface BlobsOptions {
  readonly store: ObjectStore
  /** Reads without new memory for each piece, if the back end can. */
  readonly pieces?: PieceReader | undefined
  /** Lets clients fetch blobs from the back end, if it can. */
  readonly redirects?: Redirects | undefined
  /** Remembers the sizes of blobs: for a storage where each `stat` is a round trip. @default false */
  readonly remembers?: boolean
  /** Called with a blob that was stored, and is not any more. */
  readonly onLost?: (digest: Digest) => void
  readonly log: Log
}

export class Blobs implements BlobStore, BlobReader {
  readonly #store: ObjectStore
  readonly #pieces: PieceReader | undefined
  readonly #redirects: Redirects | undefined
  readonly #log: Log
  /** Of a storage where each look is a request over a network. */
  readonly #sightings: LookupCache<Sighting> | undefined
  readonly #onLost: (digest: Digest) => void

  constructor({
    store,
    pieces,
    redirects,
    remembers = false,
    onLost = () => {},
    log,
  }: BlobsOptions) {
    this.#store = store
    this.#pieces = pieces
    this.#redirects = redirects
    this.#onLost = onLost
    this.#log = log
    this.#sightings = remembers ? new LookupCache(memory) : undefined
  }

  /** Size in bytes. What is known of a storage far away is answered without asking it. */
  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    if (!isStored(digest)) return undefined
    const known = this.#sightings?.get(digest)
    if (known === undefined) return this.#look(digest)
    if (known === 'absent') return undefined
    if (performance.now() - known.seen > recheckInterval) this.#lookAgain(digest, known)
    return { size: known.size }
  }

  /** The same of a blob that a record names: that it was absent a moment ago says nothing then. */
  async confirm(digest: Digest): Promise<{ size: number } | undefined> {
    const isAbsent = isStored(digest) && this.#sightings?.get(digest) === 'absent'
    return isAbsent ? this.#look(digest) : this.stat(digest)
  }

  async get(digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    if (!isStored(digest)) return undefined
    const stream = await this.#store.get(keyOf(digest), range)
    if (stream === undefined) this.#sightings?.setAbsent(digest)
    return stream
  }

  /**
   * Gives a blob's bytes one piece after the other; a piece is good until `take` has resolved.
   * @returns whether there is such a blob
   */
  async send(
    digest: Digest,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean> {
    if (!isStored(digest)) return false
    if (this.#pieces) return this.#pieces.readPieces(keyOf(digest), range, take)
    const stream = await this.get(digest, range)
    if (stream === undefined) return false
    const pieces = stream[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await pieces.next().catch((error) => {
          throw brokenOff(error)
        })
        if (next.done) return true
        await take(next.value)
      }
    } finally {
      // Who takes no more leaves the rest in the storage.
      await pieces.return?.()
    }
  }

  /** Where clients may fetch the blob themselves, if the storage offers that. */
  async url(digest: Digest): Promise<URL | undefined> {
    return this.#redirects?.url(keyOf(digest))
  }

  /** All bytes of a blob that is small, verified; undefined when there are none like that. */
  async whole(digest: Digest): Promise<Buffer | undefined> {
    const stream = await this.get(digest)
    const bytes = stream && (await readWhole(stream))
    if (bytes === undefined) return undefined
    if (sha256Digest(bytes) === digest) return bytes
    this.#log.error({ digest }, 'a stored blob did not match its digest, and was deleted')
    // It is of use to nobody, and in the way of the right one.
    await this.#store.delete(keyOf(digest))
    this.#sightings?.setAbsent(digest)
    return undefined
  }

  /** A manifest's or config's bytes, whole and verified; undefined when there are none like that. */
  async document(digest: Digest): Promise<Buffer | undefined> {
    // A look is cheap, or costs as much as reading.
    const seen = this.#sightings?.get(digest)
    const known = this.#sightings ? (seen === 'absent' ? undefined : seen) : await this.stat(digest)
    if ((known?.size ?? 0) > largestDocument) return undefined
    const stream = await this.get(digest)
    const bytes = stream && (await readUpTo(largestDocument, stream))
    if (bytes === undefined) return undefined
    if (sha256Digest(bytes) === digest) {
      this.#see(digest, bytes.length)
      return bytes
    }
    this.#log.error({ digest }, 'a stored document does not match its digest')
    // So that the right one is written in its place.
    this.#sightings?.forget(digest)
    return undefined
  }

  /** Replaces what is there: equal bytes, or damaged ones. */
  async putDocument({ descriptor, bytes }: Document): Promise<void> {
    const { digest, mediaType } = descriptor
    // Seen there by this instance, and verified when it was written.
    const known = this.#sightings?.get(digest)
    if (known !== undefined && known !== 'absent' && known.size === bytes.length) return
    await this.#store.put(keyOf(digest), bytes, { contentType: mediaType })
    this.#see(digest, bytes.length)
  }

  /** Keeps an equal blob that is there already, replaces one that was cut short. Consumes the file. */
  async putLayer(layer: PackedLayer): Promise<void> {
    const { digest, file } = layer
    // Nobody knows what is there when the storage does not say: put then consumes the file all the same.
    const present = await this.confirm(digest).catch(() => ({ size: Number.NaN }))
    // That it was absent is not to be remembered: other instances may be storing it now.
    if (present === undefined) this.#sightings?.forget(digest)
    if (present?.size === file.size) return layer.discard()
    const outcome = await this.#store.put(keyOf(digest), file, {
      ifAbsent: present === undefined,
      contentType: 'application/octet-stream',
    })
    if (outcome === 'stored') this.#see(digest, file.size)
    else this.#sightings?.forget(digest)
  }

  async #look(digest: Digest): Promise<{ size: number } | undefined> {
    const found = await this.#store.stat(keyOf(digest))
    if (found === undefined) this.#sightings?.setAbsent(digest)
    else this.#see(digest, found.size)
    return found
  }

  /** Whoever asks now is not kept waiting; if it is lost, those who ask next find it missing. */
  #lookAgain(digest: Digest, known: Sighting): void {
    // At once, so that all who ask meanwhile do not look again, too.
    known.seen = performance.now()
    this.#look(digest).then(
      (found) => {
        if (found?.size === known.size) return
        this.#log.warn({ digest }, 'a stored blob was lost')
        this.#onLost(digest)
      },
      (error) =>
        this.#log.debug({ digest, failure: messageOf(error) }, 'a blob was not looked for'),
    )
  }

  #see(digest: Digest, size: number): void {
    this.#sightings?.set(digest, { size, seen: performance.now() }, 100)
  }
}

function isStored(digest: Digest): boolean {
  return digest.startsWith('sha256:')
}

function keyOf(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}
