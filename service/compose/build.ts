/** Composes the build room: builds of images, and the pulls that wait for them. */
import { availableParallelism } from 'node:os'
import { LayerPacker } from '../adapters/packing/layer-packer.ts'
import { buildEntry } from '../build/build-entry.ts'
import { BuildImage } from '../build/build-image.ts'
import { BuildJournal } from '../build/build-journal.ts'
import { EvaluateImage } from '../build/evaluate-image.ts'
import { ImageBuilds } from '../build/image-builds.ts'
import { LayerCache, layerRecord } from '../build/layer-cache.ts'
import { LiveRevisions } from '../build/live-revisions.ts'
import type { BuildMetrics } from '../build/ports.ts'
import { PullManifest } from '../build/pull-manifest.ts'
import { RememberedFailures } from '../build/remembered-failures.ts'
import { SourceTrees } from '../build/source-trees.ts'
import { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import type { Config } from '../config/config.ts'
import type { Recipe } from '../image/keys.ts'
import type { LayerPlanner } from '../layering/ports.ts'
import type { WorkLeases } from '../queue/ports.ts'
import type { Source } from '../source/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Nix } from './nix.ts'
import type { Storage } from './storage.ts'

interface Tools {
  readonly nix: Nix
  readonly storage: Storage
  readonly source: Source
  readonly planning: LayerPlanner
  readonly leases: WorkLeases
  readonly recipe: Recipe
  readonly metrics: BuildMetrics
  readonly log: Log
}

export interface Build {
  readonly evaluation: EvaluateImage
  readonly builds: ImageBuilds
  readonly failures: RememberedFailures
  readonly journal: BuildJournal
  /** Limits evaluations and Nix builds of all images. */
  readonly nixLimiter: PriorityLimiter
  readonly packer: LayerPacker
}

export function composeBuild(config: Config, tools: Tools): Build {
  const { nix, storage, source, planning, leases, recipe, metrics, log } = tools
  const { blobs, imageRecords, images, space } = storage
  const packer = new LayerPacker({
    folder: storage.stagingFolder,
    md5: storage.md5,
    compression: config.compression,
    concurrency: availableParallelism(),
    log,
  })
  const evaluation = new EvaluateImage({
    sourceTrees: new SourceTrees(source, nix.store),
    evaluator: nix.evaluator,
    log,
  })
  const journal = new BuildJournal({ records: storage.records('builds', buildEntry), log })
  // Not awaited: the service can start before earlier builds are in memory.
  void journal.load()
  const nixLimiter = new PriorityLimiter(config.buildConcurrency)
  const layerRecords = storage.immutableRecords('layers', layerRecord)
  const build = new BuildImage({
    evaluation,
    nix: nix.store,
    packer,
    layers: new LayerCache({ records: layerRecords, blobs, space, metrics, log }),
    images: imageRecords,
    blobs,
    planning,
    recipe,
    nixLimiter,
    packLimiter: new PriorityLimiter(availableParallelism()),
    journal,
    metrics,
    log,
  })
  const failures = new RememberedFailures()
  const builds = new ImageBuilds({ images, build, leases, failures })
  return { evaluation, builds, failures, journal, nixLimiter, packer }
}

interface PullTools {
  readonly storage: Storage
  readonly source: Source
  readonly build: Build
  readonly recipe: Recipe
  /** Called when a pull starts or joins a build. */
  readonly onBuild: (imageKey: string, build: Promise<unknown>) => void
  readonly metrics: BuildMetrics
}

export function composePull(config: Config, tools: PullTools): PullManifest {
  const { storage, source, build, recipe, onBuild, metrics } = tools
  return new PullManifest({
    source,
    live: new LiveRevisions(build.evaluation),
    images: storage.images,
    builds: build.builds,
    recipe,
    pullWait: config.pullWait,
    limit: { seconds: config.builderTimeout, setting: 'NIX_TIMEOUT' },
    metrics,
    onBuild,
  })
}
