/**
 * What the storage room needs of a back end, and what it offers to other rooms.
 *
 * `ObjectStore` is all that every back end has. What only some of them can do is an interface of its own:
 * `PieceReader`, `Redirects`, `VersionedObjects`, `StagingFolder`.
 */
import type { Readable } from 'node:stream'
import type { Descriptor, Digest } from '../image/descriptor.ts'
import type { Document } from '../image/manifest.ts'

/** Bytes `start` to `end`, both included, as in HTTP. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A file that is written to its end, not necessarily to disk, and that the receiver may move away. */
export interface LocalFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** MD5 of the content in base64, if the writer computed it: some back ends verify by it. */
  readonly md5?: string
}

export interface PutOptions {
  /** Keep the object that is there already: for objects that are written once. */
  readonly ifAbsent?: boolean
  readonly contentType?: string
}

/**
 * Whole objects under `/`-separated keys. An object is visible under its key only when all its bytes
 * are stored; a reader sees the old bytes or the new ones, never a mixture.
 * Every method may throw Failure `unavailable` when the storage cannot be reached or is full.
 */
export interface ObjectStore {
  /** Returns the size in bytes, or undefined when there is no such object. */
  stat(key: string): Promise<{ size: number } | undefined>
  /** Returns the object's bytes, or undefined when there is no such object. */
  get(key: string, range?: ByteRange): Promise<Readable | undefined>
  /**
   * Stores an object. A LocalFile is consumed, also when this fails.
   * @returns `exists` only with `ifAbsent`, when another object was there first
   */
  put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'>
  /** Deletes an object; a missing one is no error. */
  delete(key: string): Promise<void>
  /** Lists the keys that begin with the prefix, in no order. */
  list(prefix: string): AsyncIterable<string>
  /** Returns why the storage cannot be used at the moment, as far as that is known. */
  outage(): string | undefined
}

/** Reads without new memory for each piece. */
export interface PieceReader {
  /**
   * Passes the object's bytes on, piece by piece. A piece may be overwritten as soon as `take` has
   * resolved.
   * @returns false when there is no such object
   * @throws what `take` throws, too
   */
  readPieces(
    key: string,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean>
}

/** Lets clients fetch objects from the back end itself. */
export interface Redirects {
  /** Returns where a client may fetch the object. */
  url(key: string): Promise<URL>
}

/** A folder from which a LocalFile is stored by a rename instead of a copy. */
export interface StagingFolder {
  readonly stagingFolder: string
}

/** Objects that are written only as long as no other instance has written them. */
export interface VersionedObjects {
  /** Returns a value that changes with every write; undefined when there is no such object. */
  version(key: string): Promise<string | undefined>
  /**
   * Writes an object that is still at the expected version; undefined for one that must not exist.
   * @returns its new version, or undefined when it was not as expected: then nothing was written
   */
  write(key: string, content: Uint8Array, expected: string | undefined): Promise<string | undefined>
  /** Deletes an object that is still at that version. */
  remove(key: string, version: string): Promise<void>
}

/** Disk space for layers that are packed and not stored yet. */
export interface DiskSpace {
  /**
   * Runs work that writes at most `size` bytes, as soon as there is room for them.
   * @throws Failure unavailable, when there would be no room even if nothing else was written
   */
  hold<T>(size: number, work: () => Promise<T>): Promise<T>
}

/** All records of one kind: JSON documents under keys that hash what led to them. */
export interface RecordStore<T extends object> {
  /** Returns a record, from memory if its kind is cached. @throws Failure unavailable */
  get(key: string): Promise<T | undefined>
  /** Returns a record as it is in the storage now. @throws Failure unavailable */
  fresh(key: string): Promise<T | undefined>
  has(key: string): Promise<boolean>
  /** Writes a record unless there is one. @returns the one that holds from now on */
  settle(key: string, record: T): Promise<T>
  /** Writes a record in place of one that has become wrong. */
  replace(key: string, record: T): Promise<void>
  /** Deletes a record, if it is there. */
  delete(key: string): Promise<void>
  /** Lists the keys of all records, in no order. */
  keys(): AsyncIterable<string>
}

export interface PackedLayer {
  /** The compressed layer, in the staging folder; the receiver stores or deletes it. */
  readonly file: LocalFile
  /** Of the compressed bytes. */
  readonly digest: Digest
  /** Of the tar before compression. */
  readonly diffId: Digest
  /** Bytes of the tar before compression. */
  readonly tarSize: number
  /** Deletes the file, when it is not needed. */
  discard(): Promise<void>
}

/** Blobs, as a build needs them. */
export interface BlobStore {
  /** Returns the size in bytes of a blob that a record names. */
  confirm(digest: Digest): Promise<{ size: number } | undefined>
  /** Stores a document, in place of what is there. */
  putDocument(document: Document): Promise<void>
  /** Stores a layer; keeps an equal blob that is there already. */
  putLayer(layer: PackedLayer): Promise<void>
}

/** Blobs, as they are served. */
export interface BlobReader {
  /** Returns the size in bytes; undefined when the blob is not stored. */
  stat(digest: Digest): Promise<{ size: number } | undefined>
  /**
   * Passes a blob's bytes on, piece by piece; a piece is valid until `take` has resolved.
   * @returns whether there is such a blob
   */
  send(
    digest: Digest,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean>
  /** Returns all bytes of a small blob, verified; undefined when there are none like that. */
  whole(digest: Digest): Promise<Buffer | undefined>
  /** Returns where clients may fetch the blob themselves, if the storage offers that. */
  url(digest: Digest): Promise<URL | undefined>
}

/** What is recorded of a finished image. */
export interface ImageRecord {
  /** The name that the image was first asked for by. */
  readonly name: string
  readonly packages: readonly string[]
  readonly architecture: string
  /** What the image's tag resolved to. */
  readonly revision: string
  /** Of the OCI manifest. */
  readonly oci: Descriptor
  /** Of the Docker manifest, over the same layers. */
  readonly docker: Descriptor
  /** Bytes of all layers, compressed: what a client without any of them downloads. */
  readonly size: number
}

/** An image that can be answered without any storage. */
export interface StoredImage {
  readonly key: string
  readonly record: ImageRecord
  readonly oci: Document
  readonly docker: Document
  /** Digests of all that it needs: layers, config, manifests. */
  readonly blobs: ReadonlySet<Digest>
}

/** Finished images, as builds and pulls need them. */
export interface ImageStore {
  /** Returns an image that is in memory already. */
  remembered(imageKey: string): StoredImage | undefined
  /** Returns the image of a record; undefined if there is none or a blob of it is lost. */
  load(imageKey: string): Promise<StoredImage | undefined>
  /** Like `load`, but asks the storage for the record: another instance may have written it. */
  loadFresh(imageKey: string): Promise<StoredImage | undefined>
  /**
   * Takes an image whose record is stored into memory, if it is complete.
   * @param manifests those of them that are at hand, as they were stored
   */
  keep(
    imageKey: string,
    record: ImageRecord,
    manifests?: readonly Document[],
  ): Promise<StoredImage | undefined>
  /** Returns a stored manifest; blobs that are no manifests are not found here. */
  document(digest: Digest): Promise<Document | undefined>
}

/** Finished images, as the HTTP edge needs them to know whether an answer still holds. */
export interface ServedImages {
  /** Returns whether this is still what would be answered. */
  holds(image: StoredImage): boolean
  /** Returns whether a manifest is in memory as it was. */
  holdsDocument(document: Document): boolean
  /** Returns the bytes that a blob must have, if an image told so. */
  sizeOf(digest: Digest): number | undefined
  /** Forgets the images that need a blob that is not where it should be. */
  forgetBlob(digest: Digest): void
}

/** The names under which images have been built. */
export interface ImageCatalog {
  /** Lists each name once, in byte order. @throws Failure unavailable */
  names(): Promise<string[]>
}

const keyComponent = '[a-zA-Z0-9_-][a-zA-Z0-9._-]*'
const keyGrammar = new RegExp(`^${keyComponent}(?:/${keyComponent})*$`)

/**
 * Returns the key itself. No component begins with a dot, so none leads out of a folder. The service makes
 * all keys itself, from digests and hashes.
 * @throws TypeError for anything else: a bug of the service
 */
export function checkedStorageKey(key: string): string {
  if (keyGrammar.test(key)) return key
  throw new TypeError(`not a storage key: "${key}"`)
}
