/** All rooms below the HTTP edge but the prebuild room. Only Nix, the packer and git are fakes. */

import { join } from 'node:path'
import { FilesystemStore } from '../../service/adapters/filesystem/filesystem-store.ts'
import { BuildImage } from '../../service/build/build-image.ts'
import { EvaluateImage } from '../../service/build/evaluate-image.ts'
import { ImageBuilds } from '../../service/build/image-builds.ts'
import { LayerCache, layerRecord } from '../../service/build/layer-cache.ts'
import { LiveRevisions } from '../../service/build/live-revisions.ts'
import type { JournalWriter } from '../../service/build/ports.ts'
import { PullManifest } from '../../service/build/pull-manifest.ts'
import { RememberedFailures } from '../../service/build/remembered-failures.ts'
import { SourceTrees } from '../../service/build/source-trees.ts'
import { PriorityLimiter } from '../../service/concurrency/priority-limiter.ts'
import { type Digest, hexOf, sha256Digest } from '../../service/image/descriptor.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { imageKey, type Recipe } from '../../service/image/keys.ts'
import { PlanClosure } from '../../service/layering/plan-closure.ts'
import { noPopularity } from '../../service/layering/popularity.ts'
import { knowledgeRecord, planRecord } from '../../service/layering/records.ts'
import { Leases } from '../../service/queue/leases.ts'
import { Blobs } from '../../service/storage/blobs.ts'
import { Catalog } from '../../service/storage/catalog.ts'
import { imageRecord } from '../../service/storage/image-record.ts'
import type { ObjectStore, StoredImage, VersionedObjects } from '../../service/storage/ports.ts'
import { Records } from '../../service/storage/records.ts'
import { StoredImages } from '../../service/storage/stored-images.ts'
import { endlessSpace } from './endless-space.ts'
import { FakeEvaluator, FakeNix, type FakePackageSet } from './fake-nix.ts'
import { FakePacker } from './fake-packer.ts'
import { FakeSource } from './fake-source.ts'
import { noMetrics } from './no-metrics.ts'
import { ObservedStore } from './observed-store.ts'
import { RecordingLog } from './recording-log.ts'
import { TemporaryFolder } from './temporary-folder.ts'

/** Journal that records nothing. */
const silentJournal: JournalWriter = {
  begin: () => ({ id: '', stage() {}, built() {}, failed() {}, aborted() {} }),
}

export interface WorkbenchOptions {
  readonly packages?: FakePackageSet
  /** Commits by tag. */
  readonly refs?: Record<string, string>
  /** Seconds that a pull waits for a build. */
  readonly pullWait?: number
  /** URL that clients are redirected to for blobs; absent for a storage without redirects. */
  readonly redirectTo?: string
  /** Reads blobs in pieces, as from the file system; else as a stream, as from a bucket. @default true */
  readonly hasPieces?: boolean
  /** A workbench whose storage this one takes over, as after a restart. */
  readonly restarted?: Workbench
  /** Storage of the images. @default a folder */
  readonly store?: ObjectStore
  /** For a storage that several instances share: takes leases in it. */
  readonly versioned?: VersionedObjects
  /** Called when a pull starts or joins a build. */
  readonly onBuild?: (imageKey: string, build: Promise<unknown>) => void
}

const defaultPackages: FakePackageSet = {
  hello: { references: ['glibc'], mainProgram: 'hello' },
  git: { references: ['glibc', 'zlib'] },
  glibc: {},
  zlib: { references: ['glibc'] },
  cacert: {},
}
const defaultRefs = { latest: 'c'.repeat(40), v1: '1'.repeat(40), v2: '2'.repeat(40) }

export class Workbench implements AsyncDisposable {
  readonly #folder: TemporaryFolder
  /** Calls of fakes and storage, in order. */
  readonly journal: string[] = []
  readonly recipe: Recipe = { compression: 'gzip', layerBudget: 94 }
  readonly log = new RecordingLog()
  /** The storage itself: calls of it are not in the journal. */
  readonly disk: ObjectStore
  readonly store: ObservedStore
  readonly source: FakeSource
  readonly evaluator: FakeEvaluator
  readonly nix: FakeNix
  readonly packer: FakePacker
  readonly blobs: Blobs
  readonly imageRecords
  readonly images: StoredImages
  readonly evaluation: EvaluateImage
  readonly planning: PlanClosure
  readonly nixLimiter = new PriorityLimiter(4)
  readonly builds: BuildImage
  readonly failures = new RememberedFailures()
  readonly leases: Leases
  readonly imageBuilds: ImageBuilds
  readonly pull: PullManifest
  readonly catalog: Catalog

  private constructor(
    folder: TemporaryFolder,
    disk: ObjectStore,
    stagingFolder: string,
    options: WorkbenchOptions,
  ) {
    const { journal, log, recipe, nixLimiter, failures } = this
    const packages = options.packages ?? defaultPackages
    this.#folder = folder
    this.disk = disk
    this.store = new ObservedStore(disk, journal)
    this.source = new FakeSource(options.refs ?? defaultRefs)
    this.evaluator = new FakeEvaluator(packages, journal)
    this.nix = new FakeNix(packages, journal)
    this.packer = new FakePacker(stagingFolder, journal)
    const { redirectTo, hasPieces = true } = options
    this.blobs = new Blobs({
      store: this.store,
      pieces: hasPieces && 'readPieces' in disk ? this.store : undefined,
      redirects: redirectTo === undefined ? undefined : { url: async () => new URL(redirectTo) },
      log,
    })
    this.imageRecords = new Records(this.store, 'images', imageRecord, log)
    this.images = new StoredImages(this.imageRecords, this.blobs)
    const sourceTrees = new SourceTrees(this.source, this.nix)
    this.evaluation = new EvaluateImage({ sourceTrees, evaluator: this.evaluator, log })
    this.planning = new PlanClosure({
      plans: new Records(this.store, 'plans', planRecord, log),
      knowledge: new Records(this.store, 'knowledge', knowledgeRecord, log),
      popularity: { current: () => noPopularity },
      recipe,
      log,
    })
    this.builds = new BuildImage({
      evaluation: this.evaluation,
      nix: this.nix,
      packer: this.packer,
      layers: new LayerCache({
        records: new Records(this.store, 'layers', layerRecord, log),
        blobs: this.blobs,
        space: endlessSpace,
        metrics: noMetrics,
        log,
      }),
      images: this.imageRecords,
      blobs: this.blobs,
      planning: this.planning,
      recipe,
      nixLimiter,
      packLimiter: new PriorityLimiter(4),
      journal: silentJournal,
      metrics: noMetrics,
      log,
    })
    const { store, images, builds } = this
    this.leases = new Leases({ store, objects: options.versioned, instance: 'workbench', log })
    this.imageBuilds = new ImageBuilds({ images, build: builds, leases: this.leases, failures })
    this.pull = new PullManifest({
      source: this.source,
      live: new LiveRevisions(this.evaluation),
      images,
      builds: this.imageBuilds,
      recipe,
      pullWait: options.pullWait ?? 60,
      limit: { seconds: 60, setting: 'NIX_TIMEOUT' },
      metrics: noMetrics,
      ...(options.onBuild ? { onBuild: options.onBuild } : {}),
    })
    this.catalog = new Catalog(this.imageRecords)
  }

  static async create(options: WorkbenchOptions = {}): Promise<Workbench> {
    const { restarted, store } = options
    const folder = restarted ? restarted.#folder : await TemporaryFolder.create()
    if (store !== undefined) return new Workbench(folder, store, folder.path, options)
    const disk = await FilesystemStore.open(join(folder.path, 'storage'))
    return new Workbench(folder, disk, disk.stagingFolder, options)
  }

  get storageFolder(): string {
    return join(this.#folder.path, 'storage')
  }

  /** Pulls an image: `image('hello', 'v1')`. */
  image(name: string, tag = 'v1'): Promise<StoredImage> {
    return this.pull.byTag(parseImageName(name), tag)
  }

  keyOf(name: string, tag = 'v1'): string {
    return imageKey({ id: this.source.refs.get(tag) ?? '' }, parseImageName(name), this.recipe)
  }

  async putBlob(bytes: Uint8Array): Promise<Digest> {
    const digest = sha256Digest(bytes)
    await this.disk.put(`blobs/sha256/${hexOf(digest)}`, bytes)
    return digest
  }

  async loseBlob(digest: Digest): Promise<void> {
    await this.disk.delete(`blobs/sha256/${hexOf(digest)}`)
  }

  /** Returns the journal entries that begin with this word. */
  did(word: string): string[] {
    return this.journal.filter((entry) => entry.startsWith(`${word} `) || entry === word)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]()
  }
}

/** Returns the digests of config and layers, in the order of the manifest. */
export function blobsOf(document: { bytes: Uint8Array }): { config: Digest; layers: Digest[] } {
  const manifest = JSON.parse(Buffer.from(document.bytes).toString())
  return {
    config: manifest.config.digest,
    layers: manifest.layers.map(({ digest }: { digest: Digest }) => digest),
  }
}
