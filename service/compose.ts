/** The composition root: which adapter stands behind which port. */
import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type Koa from 'koa'
import { FilesystemStore } from './adapters/filesystem-store.ts'
import { GitMirror } from './adapters/git/mirror.ts'
import { LayerPacker } from './adapters/layer-packer.ts'
import { createLog } from './adapters/log.ts'
import { nixEnvironment } from './adapters/nix/environment.ts'
import { NixEvaluator } from './adapters/nix/evaluator.ts'
import { LocalNixStore } from './adapters/nix/store.ts'
import { ProcessGroups } from './adapters/process-group.ts'
import type { Config } from './config.ts'
import type { Log } from './domain/ports.ts'
import { createApp } from './http/app.ts'
import { Blobs } from './usecases/blobs.ts'
import { BuildImage } from './usecases/build-image.ts'
import { BuildQueue } from './usecases/build-queue.ts'
import { Catalog } from './usecases/catalog.ts'
import { EvaluateImage } from './usecases/evaluate-image.ts'
import { GitSource } from './usecases/git-source.ts'
import { LayerShelf } from './usecases/layer-shelf.ts'
import { LiveRevisions } from './usecases/live-revisions.ts'
import { PackageSets } from './usecases/package-sets.ts'
import { PathSource } from './usecases/path-source.ts'
import { PullManifest } from './usecases/pull-manifest.ts'
import { imageRecord, layerRecord, planRecord, Records } from './usecases/records.ts'
import { StoredImages } from './usecases/stored-images.ts'

export function composeLog(config: Config): Log {
  return createLog(config.logLevel)
}

export interface Service {
  readonly app: Koa
  /** Ends timers, and every process that was started. */
  stop(): Promise<void>
}

/**
 * Everything but the listening socket, ready to answer.
 * @throws Failure unavailable: storage, git source or Nix cannot be used
 */
export async function compose(config: Config, log: Log): Promise<Service> {
  const groups = new ProcessGroups()
  const temporaryFolder = join(config.statePath, 'tmp')
  const rootsFolder = join(config.statePath, 'gcroots')
  // Both hold only what a running build needs: whatever is there was left by a crash.
  for (const folder of [temporaryFolder, rootsFolder]) {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true, mode: 0o700 })
  }

  const env = nixEnvironment(process.env)
  const nix = new LocalNixStore({
    groups,
    env,
    rootsFolder,
    temporaryFolder,
    builders: config.buildConcurrency,
  })
  log.info({ nix: await nix.version() }, 'Nix found')

  const store = await FilesystemStore.open(config.storage.path)
  const packer = new LayerPacker({
    folder: store.stagingFolder,
    compression: config.compression,
    concurrency: availableParallelism(),
    log,
  })

  const source = composeSource(config, groups, log)
  await source.start()

  const recipe = { compression: config.compression, layerBudget: config.layerBudget }
  const blobs = new Blobs(store, log)
  const imageRecords = new Records(store, 'images', imageRecord, log)
  const images = new StoredImages(imageRecords, blobs)
  const evaluator = new NixEvaluator({
    groups,
    env,
    timeout: config.evaluationTimeout,
    concurrency: availableParallelism(),
    log,
  })
  const evaluation = new EvaluateImage(new PackageSets(source, nix), evaluator)
  const builds = new BuildImage({
    evaluation,
    nix,
    packer,
    layers: new LayerShelf(new Records(store, 'layers', layerRecord, log), blobs, log),
    plans: new Records(store, 'plans', planRecord, log),
    images: imageRecords,
    blobs,
    recipe,
    log,
  })
  const pull = new PullManifest({
    source,
    live: new LiveRevisions(evaluation),
    images,
    builds,
    queue: new BuildQueue(),
    recipe,
    pullWait: config.pullWait,
    builderTimeout: config.builderTimeout,
  })
  const catalog = new Catalog(imageRecords)
  return {
    app: createApp({ pull, images, blobs, catalog, source, log }),
    async stop() {
      source.stop()
      await Promise.all([groups.killAll(), packer.close()])
    },
  }
}

function composeSource(config: Config, groups: ProcessGroups, log: Log): GitSource | PathSource {
  const { source, statePath, pollInterval } = config
  if (source.kind === 'path') return new PathSource(source.folder)
  // A mirror belongs to one URL: another one starts with a mirror of its own.
  const name = createHash('sha256').update(source.url).digest('hex').slice(0, 16)
  const folder = join(statePath, 'mirrors', name)
  const repository = new GitMirror({ url: source.url, folder, groups, log })
  return new GitSource({ repository, pollInterval, log })
}
