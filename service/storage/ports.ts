/**
 * Interfaces of the storage room: those that a back end implements, and those that other rooms use.
 *
 * Every back end implements `ObjectStore`. Each capability that only some back ends have is an interface of
 * its own: `PieceReader`, `Redirects`, `VersionedObjects`, `StagingFolder`.
 */
import type { Readable } from 'node:stream'
import type { Descriptor, Digest } from '../image/descriptor.ts'
import type { Document } from '../image/manifest.ts'

/** A range of bytes from `start` to `end`, both included, as in HTTP. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A completely written file. It need not be synced to disk. The receiver may move it away. */
export interface LocalFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** MD5 of the content in base64, if the writer computed it. A bucket verifies uploads with it. */
  readonly md5?: string
}

export interface PutOptions {
  /** Keeps an existing object instead of replacing it. For objects that never change. */
  readonly ifAbsent?: boolean
  readonly contentType?: string
}

/**
 * Store of whole objects under `/`-separated keys. An object becomes visible under its key when all its
 * bytes are stored. A reader sees the old bytes or the new ones, never a mixture.
 * Every method throws Failure `unavailable` when the storage is full or out of reach.
 */
export interface ObjectStore {
  /** Returns the size in bytes, or undefined when there is no such object. */
  stat(key: string): Promise<{ size: number } | undefined>
  /** Returns a stream of the object's bytes, or undefined when there is no such object. */
  get(key: string, range?: ByteRange): Promise<Readable | undefined>
  /**
   * Stores an object. Consumes a LocalFile, even when storing fails.
   * @returns `exists` only with `ifAbsent`, when the key already had an object
   */
  put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'>
  /** Deletes an object. A missing object is not an error. */
  delete(key: string): Promise<void>
  /** Lists the keys that begin with the prefix, in no particular order. */
  list(prefix: string): AsyncIterable<string>
  /** Returns the current failure of the storage, or undefined while no failure is known. */
  outage(): string | undefined
}

/** Reads objects through buffers that are reused, so that no piece becomes garbage. */
export interface PieceReader {
  /**
   * Passes the object's bytes to `take`, piece by piece. A piece is overwritten after `take` has resolved.
   * @returns false when there is no such object
   * @throws Failure unavailable, and every error of `take`
   */
  readPieces(
    key: string,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean>
}

/** URLs with which clients fetch objects directly from the back end. */
export interface Redirects {
  /** Returns a URL from which a client may fetch the object. */
  url(key: string): Promise<URL>
}

/** Folder whose files the back end stores without copying them first. */
export interface StagingFolder {
  readonly stagingFolder: string
}

/** Objects with conditional writes: a write fails if another instance wrote the object in the meantime. */
export interface VersionedObjects {
  /** Returns the version, which changes with every write, or undefined when there is no such object. */
  version(key: string): Promise<string | undefined>
  /**
   * Writes an object if it still has the expected version.
   * @param expected undefined if the object must not exist yet
   * @returns the new version, or undefined when the version was another one and nothing was written
   */
  write(key: string, content: Uint8Array, expected: string | undefined): Promise<string | undefined>
  /** Deletes an object if it still has that version. */
  remove(key: string, version: string): Promise<void>
}

/** Disk space for layers that are packed but not stored yet. */
export interface DiskSpace {
  /**
   * Runs work that writes at most `size` bytes, as soon as the disk has room for them.
   * @throws Failure unavailable when the disk has no room even without any other layer
   */
  hold<T>(size: number, work: () => Promise<T>): Promise<T>
}

/** All records of one kind: JSON documents under keys. For most kinds, a key is a hash of the inputs. */
export interface RecordStore<T extends object> {
  /** Returns a record, from the cache if this kind is cached. @throws Failure unavailable */
  get(key: string): Promise<T | undefined>
  /** Reads a record from the storage, never from a cache. @throws Failure unavailable */
  fresh(key: string): Promise<T | undefined>
  /** Returns whether there is such a record. @throws Failure unavailable */
  has(key: string): Promise<boolean>
  /** Writes a record unless there is one already. @returns the stored record: the first writer wins */
  settle(key: string, record: T): Promise<T>
  /** Overwrites a record that has become wrong, for example because its blob is lost. */
  replace(key: string, record: T): Promise<void>
  /** Deletes a record. A missing record is not an error. */
  delete(key: string): Promise<void>
  /** Lists the keys of all records, in no particular order. */
  keys(): AsyncIterable<string>
}

export interface PackedLayer {
  /** The compressed layer, in the staging folder. The receiver stores or deletes it. */
  readonly file: LocalFile
  /** Digest of the compressed layer. */
  readonly digest: Digest
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number
  /** Deletes the file. */
  discard(): Promise<void>
}

/** The operations on blobs that a build needs. */
export interface BlobStore {
  /**
   * Returns the size in bytes of a blob that a record names, or undefined when the blob is lost. Like `stat`,
   * but ignores the negative cache: the record claims that the blob exists, so the storage is asked.
   */
  statRecorded(digest: Digest): Promise<{ size: number } | undefined>
  /** Stores a document, and replaces an existing blob. */
  putDocument(document: Document): Promise<void>
  /** Stores a layer. Keeps an existing blob of the same size. Consumes the layer's file. */
  putLayer(layer: PackedLayer): Promise<void>
}

/** The operations on blobs that the registry needs. */
export interface BlobReader {
  /** Returns the size in bytes, or undefined when the blob is not stored. */
  stat(digest: Digest): Promise<{ size: number } | undefined>
  /**
   * Passes a blob's bytes to `take`, piece by piece. A piece is valid until `take` has resolved.
   * @returns false when there is no such blob
   */
  send(
    digest: Digest,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean>
  /** Reads and verifies a small blob. Returns undefined when it is missing or damaged. */
  readWhole(digest: Digest): Promise<Buffer | undefined>
  /** Returns a URL from which clients may fetch the blob, if the back end offers redirects. */
  url(digest: Digest): Promise<URL | undefined>
}

/** All operations on blobs. */
export interface BlobStorage extends BlobStore, BlobReader {
  /** Reads and verifies a manifest or config. Returns undefined when it is missing, too large or damaged. */
  document(digest: Digest): Promise<Buffer | undefined>
}

/** Record of a finished image. */
export interface ImageRecord {
  /** The name under which the image was first requested. */
  readonly name: string
  readonly packages: readonly string[]
  readonly architecture: string
  /** The revision to which the image's tag resolved. */
  readonly revision: string
  /** Descriptor of the OCI manifest. */
  readonly oci: Descriptor
  /** Descriptor of the Docker manifest, which has the same layers. */
  readonly docker: Descriptor
  /** Compressed bytes of all layers: the download of a client that has none of them. */
  readonly size: number
}

/** A finished image in memory. Its manifests are served without any access to the storage. */
export interface StoredImage {
  readonly key: string
  readonly record: ImageRecord
  readonly oci: Document
  readonly docker: Document
  /** Digests of all blobs of the image: layers, config, manifests. */
  readonly blobs: ReadonlySet<Digest>
}

/** The operations on finished images that builds and pulls need. */
export interface ImageStore {
  /** Returns an image if it is in memory. */
  remembered(imageKey: string): StoredImage | undefined
  /** Returns the image of a record, or undefined if there is no record or a blob of the image is lost. */
  load(imageKey: string): Promise<StoredImage | undefined>
  /** Like `load`, but reads the record from the storage: another instance may just have written it. */
  loadFresh(imageKey: string): Promise<StoredImage | undefined>
  /**
   * Puts an image into memory, if all its blobs are stored. The record must have been stored before.
   * @param manifests manifests of the image that the caller has in memory, as they were stored
   */
  keep(
    imageKey: string,
    record: ImageRecord,
    manifests?: readonly Document[],
  ): Promise<StoredImage | undefined>
  /** Returns a stored manifest. Returns undefined for a blob that is not a manifest. */
  document(digest: Digest): Promise<Document | undefined>
}

/** The operations on finished images that decide whether a cached HTTP answer is still valid. */
export interface ImageFreshness {
  /** Returns whether this image object is still the one in memory. */
  holds(image: StoredImage): boolean
  /** Returns whether this document object is still the one in memory. */
  holdsDocument(document: Document): boolean
  /** Returns the bytes that a blob must have, if it belongs to an image that was in memory. */
  sizeOf(digest: Digest): number | undefined
  /** Forgets all images that need a lost blob, so that their blobs are checked again. */
  forgetBlob(digest: Digest): void
}

/** The names of all images that have been built. */
export interface ImageCatalog {
  /** Returns each name once, in byte order. @throws Failure unavailable */
  names(): Promise<string[]>
}
