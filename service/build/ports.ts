/** Ports of the build room: those that Nix and the packer implement, and those that other rooms use. */
import type { Closure, StorePath } from '../closure/closure.ts'
import type { EvaluatedPackage, PackageOutcome } from '../closure/package.ts'
import type { Cause } from '../concurrency/priority-limiter.ts'
import type { Digest } from '../image/descriptor.ts'
import type { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import type { LinkFarm } from '../image/link-farm.ts'
import type { Document } from '../image/manifest.ts'
import type { Lease } from '../queue/ports.ts'
import type { Revision } from '../source/ports.ts'
import type { PackedLayer, StoredImage } from '../storage/ports.ts'

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
   * Returns one outcome for each package, in order. A package that cannot be evaluated does not fail the
   * others.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  evaluate(request: EvaluationRequest): Promise<PackageOutcome[]>
}

export type { Cause }

/** Time that one Nix builder may run. */
export interface BuilderLimit {
  readonly seconds: number
  /** The setting that the limit comes from, for messages. */
  readonly setting: 'NIX_TIMEOUT' | 'SLIPWAY_PREBUILD_TIMEOUT'
}

export interface RealiseOptions {
  readonly cause: Cause
  readonly limit: BuilderLimit
  /** Name of the set of GC roots that keeps the outputs until `release`. */
  readonly roots: string
}

export interface RealiseEachOptions extends Omit<RealiseOptions, 'roots'> {
  /** Stops Nix, and with it all its builders. */
  readonly signal?: AbortSignal
}

/** The Nix store. */
export interface NixStore {
  /**
   * Calls `write` with an empty folder, and copies that folder into the store as `<hash>-source`.
   * @param roots name of the set of GC roots that keeps the copy until `release`
   */
  addSource(roots: string, write: (folder: string) => Promise<void>): Promise<StorePath>
  /** Returns whether a store path exists: garbage collection may have deleted it. */
  has(path: StorePath): Promise<boolean>
  /**
   * Builds or fetches the packages' outputs.
   * @throws Failure build-failed with the package and the end of the log, or build-timed-out
   */
  realise(packages: readonly EvaluatedPackage[], options: RealiseOptions): Promise<void>
  /**
   * Builds the packages of many images in one Nix process; a failure of one does not stop the others.
   * @returns one promise for each image: it resolves as soon as all outputs of that image are valid, and
   *   rejects like `realise`
   */
  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    options: RealiseEachOptions,
  ): Promise<void>[]
  /** Returns the store paths and everything that they refer to, directly or not. */
  closure(paths: readonly StorePath[]): Promise<Closure>
  /** Removes a set of GC roots. */
  release(roots: string): Promise<void>
}

/** Writes layers. The uncompressed bytes of a layer depend on the arguments alone. */
export interface LayerPacker {
  packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer>
  packLinkFarm(linkFarm: LinkFarm): Promise<PackedLayer>
}

/** Finds the packages of images in a revision of the package set. */
export interface ImageEvaluation {
  /**
   * Returns the requested packages of an image, then the added packages that the set has.
   * @throws Failure manifest-unknown, evaluation-failed, unavailable
   */
  packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]>
  /**
   * Like `packages` for many images of one platform, in one evaluation. A package that cannot be evaluated
   * fails only the images that contain it.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  batch(names: readonly ImageName[], revision: Revision): Promise<(EvaluatedPackage[] | Failure)[]>
}

export interface BuildRequest {
  readonly name: ImageName
  readonly revision: Revision
  readonly imageKey: string
  /** The packages of the name, if they are evaluated already. */
  readonly packages?: readonly EvaluatedPackage[]
  /** True if the outputs are valid already: they only have to be protected from garbage collection. */
  readonly realised?: boolean
  readonly cause: Cause
  readonly limit: BuilderLimit
}

export interface FoundImage {
  readonly image: StoredImage
  /** `record`: the image was stored already. */
  readonly outcome: 'record' | 'built'
}

/** Images by key. A missing image is built. */
export interface ImageBuilds {
  /**
   * Returns the stored image, or builds it.
   * @throws what the build throws, or a remembered failure of an earlier build; Failure overloaded
   */
  get(request: BuildRequest): Promise<FoundImage>
  /**
   * Takes the lease on an image, so that no other instance builds it.
   * @returns undefined if another instance builds the image or has built it
   */
  claim(imageKey: string): Promise<Lease | undefined>
}

/** Failed builds by image key. */
export interface BuildFailures {
  /** Returns the failure that answers a pull, or stops a prebuild; undefined if the build may start. */
  get(imageKey: string, cause: Cause): Failure | undefined
  /**
   * Stores what a build threw; an error that is no Failure is ignored.
   * @param cause of the build that failed
   * @param milliseconds that the build took @default 0
   */
  note(imageKey: string, error: unknown, cause: Cause, milliseconds?: number): void
  /** Stores a failure that stops prebuilds of the image. Failures that may pass are ignored. */
  stopPrebuilds(imageKey: string, error: unknown): void
  /** Deletes all failures, so that every image may be built again. */
  clear(): void
}

/** Answers manifest requests. */
export interface ManifestPull {
  /**
   * Returns the image that a tag names, and builds it if it is not stored.
   * @throws Failure manifest-unknown, evaluation-failed, build-failed, build-timed-out, still-building,
   *   overloaded, unavailable
   */
  byTag(name: ImageName, tag: string): Promise<StoredImage>
  /** Returns a stored manifest; undefined if there is none with this digest. */
  byDigest(digest: Digest): Promise<Document | undefined>
  /** Counts a request by tag that was answered from a cache, without a call of `byTag`. */
  repeated(): void
}

/** One build, as the journal records it. */
export interface BuildEntry {
  readonly id: string
  readonly image: string
  /** A full commit id; for a live folder, a hash of the evaluated packages. */
  readonly revision: string
  /** Full name of the ref (`refs/tags/v1`), or a channel. */
  readonly ref?: string | undefined
  /** Cause of the first request for the image. */
  readonly cause: Cause
  /** ISO 8601. */
  readonly startedAt: string
  readonly endedAt?: string | undefined
  readonly outcome: 'running' | 'built' | 'failed' | 'aborted'
  /** Milliseconds by stage, in the order in which the stages ended. */
  readonly stages: Readonly<Record<string, number>>
  /** Digest of the OCI manifest. */
  readonly digest?: string | undefined
  readonly failure?: string | undefined
  /** The last lines that Nix printed. */
  readonly log?: string | undefined
}

export type NewBuild = Pick<BuildEntry, 'image' | 'revision' | 'ref' | 'cause'>

/** Writes the journal of builds. */
export interface JournalWriter {
  /** Adds an entry for a build that starts now; it is stored when the build ends. */
  begin(build: NewBuild): RunningBuild
}

/** The journal entry of a build that runs. Calls after its end are ignored. */
export interface RunningBuild {
  readonly id: string
  /** Adds a stage that has ended. */
  stage(name: string, milliseconds: number): void
  built(digest: string): void
  /** @param error what the build threw; the lines after the first of its message are the log */
  failed(error: unknown): void
  /** Ends the entry of a build that was cancelled, because no ref needs it or because the service stops. */
  aborted(): void
}

/** Reads the journal of builds. */
export interface BuildHistory {
  /** Lists the builds in memory, newest first. */
  recent(limit?: number): readonly BuildEntry[]
  /** Returns a build from memory, else from its record; undefined if there is none. @throws Failure unavailable */
  get(id: string): Promise<BuildEntry | undefined>
}

export type BuildOutcome = 'built' | 'failed' | 'aborted'

/**
 * How a request for a manifest by tag was answered. `record`: from memory or storage. `built`: by a build
 * that this request started. `waited`: by a build that another request had started. `failed`: with an
 * error, also "still building".
 */
export type ManifestOutcome = 'record' | 'built' | 'waited' | 'failed'

export type LayerOutcome = 'reused' | 'packed'

/** Receives the events of the build room that monitoring counts. Methods neither throw nor block. */
export interface BuildMetrics {
  buildEnded(outcome: BuildOutcome, cause: Cause): void
  /** @param stage name from a small set: `realise` */
  stageEnded(stage: string, seconds: number): void
  layerTaken(outcome: LayerOutcome): void
  manifestAnswered(outcome: ManifestOutcome): void
}
