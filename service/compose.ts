/** The composition root: which adapter stands behind which port. */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type Koa from 'koa'
import { HttpChannelServer } from './adapters/channel-server.ts'
import { FilesystemStore } from './adapters/filesystem-store.ts'
import { withoutCredentials } from './adapters/git/credentials.ts'
import { GitMirror } from './adapters/git/mirror.ts'
import { LayerPacker } from './adapters/layer-packer.ts'
import { createLog } from './adapters/log.ts'
import { nixEnvironment } from './adapters/nix/environment.ts'
import { NixEvaluator } from './adapters/nix/evaluator.ts'
import { LocalNixStore } from './adapters/nix/store.ts'
import { PopularityDocument } from './adapters/popularity-document.ts'
import { ProcessGroups } from './adapters/process-group.ts'
import { StateFolder } from './adapters/state-folder.ts'
import type { Config } from './config.ts'
import { noPopularity } from './domain/popularity.ts'
import type { Log, ObjectStore } from './domain/ports.ts'
import type { Source } from './domain/source.ts'
import { createApp } from './http/app.ts'
import { Blobs } from './usecases/blobs.ts'
import { BuildImage } from './usecases/build-image.ts'
import { BuildQueue } from './usecases/build-queue.ts'
import { Catalog } from './usecases/catalog.ts'
import { ChannelSource, channelRecord } from './usecases/channel-source.ts'
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

/** What sources are made with. */
interface Tools {
  readonly state: StateFolder
  readonly groups: ProcessGroups
  readonly store: ObjectStore
  readonly log: Log
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
  const state = await StateFolder.open(config.statePath)

  const env = nixEnvironment(process.env)
  const nix = new LocalNixStore({
    groups,
    env,
    rootsFolder: state.roots,
    temporaryFolder: state.temporary,
    builders: config.buildConcurrency,
  })
  log.info({ nix: await nix.version() }, 'Nix found')

  const store = await FilesystemStore.open(config.storage.path, state.instance)
  const packer = new LayerPacker({
    folder: store.stagingFolder,
    compression: config.compression,
    concurrency: availableParallelism(),
    log,
  })

  const running = composeSource(config, { state, groups, store, log })
  const popularity = composePopularity(config, log)
  await Promise.all([running.start(), popularity.start()])
  const { source } = running

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
  const evaluation = new EvaluateImage({
    packageSets: new PackageSets(source, nix),
    evaluator,
    log,
  })
  const builds = new BuildImage({
    evaluation,
    nix,
    packer,
    layers: new LayerShelf(new Records(store, 'layers', layerRecord, log), blobs, log),
    plans: new Records(store, 'plans', planRecord, log),
    images: imageRecords,
    blobs,
    popularity,
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
      running.stop()
      popularity.stop()
      await Promise.all([groups.killAll(), packer.close()])
      await state[Symbol.asyncDispose]()
    },
  }
}

/** A source with what starts and ends it. */
interface RunningSource {
  readonly source: Source
  start(): Promise<void>
  stop(): void
}

function composeSource(
  { source, statePath, pollInterval }: Config,
  { state, groups, store, log }: Tools,
): RunningSource {
  switch (source.kind) {
    case 'path':
      return { source: new PathSource(source.folder), async start() {}, stop() {} }
    case 'channel': {
      const folder = join(statePath, 'nixpkgs')
      const server = new HttpChannelServer({
        ...source,
        folder,
        temporaryFolder: state.temporary,
        groups,
      })
      const records = new Records(store, 'channels', channelRecord, log)
      const channels = new ChannelSource({ channel: source.channel, server, records, log })
      return { source: channels, start: () => channels.start(), stop: () => server.close() }
    }
    case 'git': {
      // A mirror belongs to one URL: another one starts with a mirror of its own, a new token does not.
      const name = createHash('sha256')
        .update(withoutCredentials(source.url))
        .digest('hex')
        .slice(0, 16)
      const folder = join(statePath, 'mirrors', name)
      const repository = new GitMirror({ url: source.url, folder, groups, log })
      const git = new GitSource({ repository, pollInterval, log })
      return { source: git, start: () => git.start(), stop: () => git.stop() }
    }
  }
}

function composePopularity({ popularityUrl: url, statePath }: Config, log: Log) {
  return url === undefined
    ? { current: () => noPopularity, async start() {}, stop() {} }
    : new PopularityDocument({ url, folder: join(statePath, 'popularity'), log })
}
