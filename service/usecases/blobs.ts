/** Blobs: whatever clients fetch, under its digest. */
import type { Readable } from 'node:stream'
import { type Digest, hexOf, sha256Digest } from '../domain/descriptor.ts'
import type { Document } from '../domain/manifest.ts'
import type { ByteRange, Log, ObjectStore, PackedLayer } from '../domain/ports.ts'
import { readWhole } from './read-whole.ts'

/** Documents above this are no manifests: clients refuse manifests of more than 4 MiB. */
const largestDocument = 4 * 1024 * 1024

export class Blobs {
  readonly #store: ObjectStore
  readonly #log: Log

  constructor(store: ObjectStore, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** Size in bytes. */
  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    return isStored(digest) ? this.#store.stat(keyOf(digest)) : undefined
  }

  async get(digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    return isStored(digest) ? this.#store.get(keyOf(digest), range) : undefined
  }

  /** Where clients may fetch the blob themselves, if the storage offers that. */
  async url(digest: Digest): Promise<URL | undefined> {
    return this.#store.url?.(keyOf(digest))
  }

  /** A manifest's or config's bytes, whole and verified; undefined when there are none like that. */
  async document(digest: Digest): Promise<Buffer | undefined> {
    const found = await this.stat(digest)
    if (found === undefined || found.size > largestDocument) return undefined
    const stream = await this.get(digest)
    if (stream === undefined) return undefined
    const bytes = await readWhole(stream)
    if (sha256Digest(bytes) === digest) return bytes
    this.#log.error({ digest }, 'a stored document does not match its digest')
    return undefined
  }

  /** Replaces what is there: equal bytes, or damaged ones. */
  async putDocument({ descriptor, bytes }: Document): Promise<void> {
    await this.#store.put(keyOf(descriptor.digest), bytes, { contentType: descriptor.mediaType })
  }

  /** Keeps an equal blob that is there already, replaces one that was cut short. */
  async putLayer({ digest, file }: PackedLayer): Promise<void> {
    // Nobody knows what is there when the storage does not say: put then consumes the file all the same.
    const present = await this.stat(digest).catch(() => ({ size: Number.NaN }))
    const damaged = present !== undefined && present.size !== file.size
    await this.#store.put(keyOf(digest), file, {
      ifAbsent: !damaged,
      contentType: 'application/octet-stream',
    })
  }
}

function isStored(digest: Digest): boolean {
  return digest.startsWith('sha256:')
}

function keyOf(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}
