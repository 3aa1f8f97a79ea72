/** What the use cases need of the world. Adapters implement these; only compose.ts knows which. */
import type { Readable } from 'node:stream'
import type { Closure, StorePath } from '../closure/closure.ts'
import type { EvaluatedPackage, PackageOutcome } from '../closure/package.ts'
import type { Digest } from '../image/descriptor.ts'

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
  /** MD5 of the content in base64, if whoever wrote it took that: some storage verifies by it. */
  readonly md5?: string
}

export interface PutOptions {
  /** Keep what is there already: for objects that are written once. */
  readonly ifAbsent?: boolean
  readonly contentType?: string
}

/**
 * Whole objects under `/`-separated keys. An object is visible under its key only when all its bytes
 * are stored; a reader sees the old bytes or the new ones, never a mixture.
 * Every method may throw Failure `unavailable` when the storage cannot be reached or is full.
 */
export interface ObjectStore {
  /** Size in bytes, or undefined when there is no such object. */
  stat(key: string): Promise<{ size: number } | undefined>
  /** The object's bytes, or undefined when there is no such object. */
  get(key: string, range?: ByteRange): Promise<Readable | undefined>
  /**
   * Gives the object's bytes one piece after the other, without new memory for each: a piece may be
   * overwritten as soon as `take` has resolved. False when there is no such object. Storage that cannot
   * do better than `get` does not have this.
   * @throws what `take` throws, too
   */
  pieces?(
    key: string,
    range: ByteRange | undefined,
    take: (piece: Uint8Array) => Promise<void>,
  ): Promise<boolean>
  /** `exists` only with `ifAbsent`, when another object was there first. A LocalFile is consumed. */
  put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'>
  /** No error when there is no such object. */
  delete(key: string): Promise<void>
  /** Keys that begin with the prefix, in no order. */
  list(prefix: string): AsyncIterable<string>
  /** Where a client may fetch the object itself. */
  url?(key: string): Promise<URL>
  /** A folder from which a LocalFile is stored by a rename instead of a copy. */
  readonly stagingFolder?: string
  /** Each call is a request over a network: what it told is worth remembering. */
  readonly isRemote?: boolean
  /** Why the storage cannot be used at the moment, as far as that is known. */
  readonly problem?: string | undefined
  /** Of a storage that several instances use at once. */
  readonly versioned?: VersionedObjects
}

/** Objects that are written only as long as nobody else has written them. */
export interface VersionedObjects {
  /** What changes with every write; undefined when there is no such object. */
  version(key: string): Promise<string | undefined>
  /**
   * Writes an object that is still at the expected version; undefined for one that must not exist.
   * @returns its new version, or undefined when it was not as expected: then nothing was written
   */
  write(key: string, content: Uint8Array, expected: string | undefined): Promise<string | undefined>
  /** Deletes an object that is still at that version. */
  remove(key: string, version: string): Promise<void>
}

export interface EvaluationRequest {
  /** Folder with the package set's `default.nix`, absolute. */
  readonly folder: string
  /** Nix system to evaluate for: `x86_64-linux`. */
  readonly system: string
  readonly packages: readonly string[]
}

/** Evaluates a package set. */
export interface Evaluator {
  /**
   * One outcome for each package, in order. One that cannot be evaluated does not fail the others.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  evaluate(request: EvaluationRequest): Promise<PackageOutcome[]>
}

/** Why an image is built: somebody waits for it, or nobody does yet. */
export type Cause = 'pull' | 'prebuild'

/** How long one builder may run. */
export interface BuilderLimit {
  readonly seconds: number
  /** The setting that says so, for messages. */
  readonly setting: 'NIX_TIMEOUT' | 'SLIPWAY_PREBUILD_TIMEOUT'
}

export interface RealiseOptions {
  readonly cause: Cause
  readonly limit: BuilderLimit
  /** Name of the set of GC roots that keeps the outputs until `release`. */
  readonly roots: string
}

export interface RealiseEachOptions extends Omit<RealiseOptions, 'roots'> {
  /** Ends Nix, and with it whatever is not valid yet. */
  readonly signal?: AbortSignal
}

/** The Nix store. */
export interface NixStore {
  /**
   * Has `write` fill an empty folder, and copies that into the store as `<hash>-source`.
   * @param roots name of the set of GC roots that keeps it until `release`
   */
  addSource(roots: string, write: (folder: string) => Promise<void>): Promise<StorePath>
  /** Whether a store path is still there: garbage collection may have taken it. */
  has(path: StorePath): Promise<boolean>
  /**
   * Builds or fetches the packages' outputs.
   * @throws Failure build-failed with the package and the end of the log, or build-timed-out
   */
  realise(packages: readonly EvaluatedPackage[], options: RealiseOptions): Promise<void>
  /**
   * Builds the packages of many images in one Nix process; what fails does not keep the rest.
   * @returns for each image a promise that is settled as soon as its own outputs are valid, or cannot
   *   become so; it fails as `realise` does
   */
  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    options: RealiseEachOptions,
  ): Promise<void>[]
  /** The store paths and all that they refer to. */
  closure(paths: readonly StorePath[]): Promise<Closure>
  /** Lets go of a set of GC roots. */
  release(roots: string): Promise<void>
}

export interface PackedLayer {
  /** The compressed layer, in the staging folder; whoever asked for it stores or deletes it. */
  readonly file: LocalFile
  /** Of the compressed bytes. */
  readonly digest: Digest
  /** Of the tar before compression. */
  readonly diffId: Digest
  /** Bytes of the tar before compression. */
  readonly tarSize: number
  /** Deletes the file, when nobody needs it. */
  discard(): Promise<void>
}

/** A package as the root forest sees it. */
export interface ForestPackage {
  readonly name: string
  readonly storePath: StorePath
  /** The lower wins. */
  readonly priority: number
  /** Whether somebody asked for it; added packages (cacert, iana-etc) give way. */
  readonly asked: boolean
}

export interface Forest {
  readonly packages: readonly ForestPackage[]
  /** The store path whose `bin/env` becomes `/usr/bin/env`. */
  readonly env?: StorePath
}

/** Writes layers. The uncompressed bytes are a function of the arguments alone. */
export interface LayerPacker {
  packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer>
  packForest(forest: Forest): Promise<PackedLayer>
}

/** Structured logging; the shape of pino. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
