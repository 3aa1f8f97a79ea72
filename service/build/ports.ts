/** What the build room needs of Nix and of packing, and what it offers to other rooms. */
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
   * Returns one outcome for each package, in order. One that cannot be evaluated does not fail the others.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  evaluate(request: EvaluationRequest): Promise<PackageOutcome[]>
}

export type { Cause }

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
  /** Ends Nix, and with it every build that has not ended. */
  readonly signal?: AbortSignal
}

/** The Nix store. */
export interface NixStore {
  /**
   * Calls `write` with an empty folder, and copies that folder into the store as `<hash>-source`.
   * @param roots name of the set of GC roots that keeps it until `release`
   */
  addSource(roots: string, write: (folder: string) => Promise<void>): Promise<StorePath>
  /** Returns whether a store path is still there: garbage collection may have taken it. */
  has(path: StorePath): Promise<boolean>
  /**
   * Builds or fetches the packages' outputs.
   * @throws Failure build-failed with the package and the end of the log, or build-timed-out
   */
  realise(packages: readonly EvaluatedPackage[], options: RealiseOptions): Promise<void>
  /**
   * Builds the packages of many images in one Nix process; a failure of one does not stop the others.
   * @returns for each image a promise that settles as soon as its own outputs are valid, or cannot
   *   become so; it fails as `realise` does
   */
  realiseEach(
    images: readonly (readonly EvaluatedPackage[])[],
    options: RealiseEachOptions,
  ): Promise<void>[]
  /** Returns the store paths and all that they refer to. */
  closure(paths: readonly StorePath[]): Promise<Closure>
  /** Removes a set of GC roots. */
  release(roots: string): Promise<void>
}

/** Writes layers. The uncompressed bytes are a function of the arguments alone. */
export interface LayerPacker {
  packStorePaths(paths: readonly StorePath[]): Promise<PackedLayer>
  packLinkFarm(linkFarm: LinkFarm): Promise<PackedLayer>
}

/** Finds the packages of images in a revision of the package set. */
export interface ImageEvaluation {
  /**
   * Returns the packages of an image.
   * @throws Failure manifest-unknown, evaluation-failed, unavailable
   */
  packages(name: ImageName, revision: Revision): Promise<EvaluatedPackage[]>
  /**
   * Like `packages` for many images of one platform, in one evaluation. A package that cannot be
   * evaluated fails the images that have it, and no other.
   * @throws Failure evaluation-failed, if the set itself cannot be evaluated; unavailable
   */
  batch(names: readonly ImageName[], revision: Revision): Promise<(EvaluatedPackage[] | Failure)[]>
}

export interface BuildRequest {
  readonly name: ImageName
  readonly revision: Revision
  readonly imageKey: string
  /** What the name was evaluated to, if that is known already. */
  readonly packages?: readonly EvaluatedPackage[]
  /** The outputs are valid already: they only have to be kept from garbage collection. */
  readonly realised?: boolean
  readonly cause: Cause
  readonly limit: BuilderLimit
}

export interface FoundImage {
  readonly image: StoredImage
  /** `record`: it was stored already. */
  readonly outcome: 'record' | 'built'
}

/** Images by key: found, or built. */
export interface ImageBuilds {
  /** Returns the image. @throws what the build throws, now or a short while ago; Failure overloaded */
  get(request: BuildRequest): Promise<FoundImage>
  /** Takes the lease on an image, so that no other instance builds it; undefined if one builds or has built it. */
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
  /** Deletes all failures, so that every image may be built again. */
  clear(): void
}

/** What a manifest request by tag or digest is answered from. */
export interface ManifestPull {
  /**
   * Returns the image that a tag names, built if need be.
   * @throws Failure manifest-unknown, evaluation-failed, build-failed, build-timed-out, still-building,
   *   overloaded, unavailable
   */
  byTag(name: ImageName, tag: string): Promise<StoredImage>
  /** Returns a manifest as it is stored; undefined if there is none with this digest. */
  byDigest(digest: Digest): Promise<Document | undefined>
  /** Counts an answer that was repeated without a call of `byTag`. */
  repeated(): void
}

/** One build: what was built when, how long each stage took, how it ended. */
export interface BuildEntry {
  readonly id: string
  readonly image: string
  /** A full commit id; for a live folder, a hash of what it was evaluated to. */
  readonly revision: string
  /** In full: `refs/tags/v1`. */
  readonly ref?: string | undefined
  /** Why it was started first. */
  readonly cause: Cause
  /** ISO 8601. */
  readonly startedAt: string
  readonly endedAt?: string | undefined
  readonly outcome: 'running' | 'built' | 'failed' | 'aborted'
  /** Milliseconds by stage, in the order in which the stages ended. */
  readonly stages: Readonly<Record<string, number>>
  /** Of the OCI manifest. */
  readonly digest?: string | undefined
  readonly failure?: string | undefined
  /** The end of what Nix printed. */
  readonly log?: string | undefined
}

/** The recent builds. */
export interface BuildHistory {
  /** Lists builds in memory, the newest first. */
  recent(limit?: number): readonly BuildEntry[]
  /** Returns a build from memory, else from its record. @throws Failure unavailable */
  get(id: string): Promise<BuildEntry | undefined>
}

export type BuildOutcome = 'built' | 'failed' | 'aborted'

/**
 * How a manifest that was asked for by tag was found. `record`: in memory or storage. `built`: for
 * this request. `waited`: by a build that another request had started. `failed`: an error was answered,
 * also that of a build that goes on.
 */
export type ManifestOutcome = 'record' | 'built' | 'waited' | 'failed'

export type LayerOutcome = 'reused' | 'packed'

/** What the build room reports to monitoring. Never fails, never waits. */
export interface BuildMetrics {
  buildEnded(outcome: BuildOutcome, cause: Cause): void
  /** @param stage of a build, out of a small set of names: `realise` */
  stageEnded(stage: string, seconds: number): void
  layerTaken(outcome: LayerOutcome): void
  manifestAnswered(outcome: ManifestOutcome): void
}
