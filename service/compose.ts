/** The composition root: which adapter stands behind which port. */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Koa from 'koa'
import { HttpChannelServer } from './adapters/channel-server.ts'
import { FilesystemStore } from './adapters/filesystem-store.ts'
import { withoutCredentials } from './adapters/git/credentials.ts'
import { GitMirror } from './adapters/git/mirror.ts'
import { LayerPacker } from './adapters/layer-packer.ts'
import { createLog } from './adapters/log.ts'
import { evaluationEnvironment, nixEnvironment } from './adapters/nix/environment.ts'
import { NixEvaluator } from './adapters/nix/evaluator.ts'
import { findLauncher } from './adapters/nix/launcher.ts'
import { LocalNixStore } from './adapters/nix/store.ts'
import { PathSource } from './adapters/path-source.ts'
import { PopularityDocument } from './adapters/popularity-document.ts'
import { ProcessGroups } from './adapters/process-group.ts'
import { PrometheusMetrics } from './adapters/prometheus.ts'
import { StateFolder } from './adapters/state-folder.ts'
import type { Config } from './config.ts'
import type { ImageName } from './domain/image-name.ts'
import type { Metrics } from './domain/metrics.ts'
import { noPopularity } from './domain/popularity.ts'
import type { Log, ObjectStore } from './domain/ports.ts'
import type { Source } from './domain/source.ts'
import { api } from './http/api.ts'
import { createApp } from './http/app.ts'
import { metrics as metricsPage } from './http/metrics.ts'
import { statusPage } from './http/status-page.ts'
import { webhooks } from './http/webhooks/webhooks.ts'
import { Blobs } from './usecases/blobs.ts'
import { buildEntry } from './usecases/build-entry.ts'
import { BuildImage } from './usecases/build-image.ts'
import { BuildJournal } from './usecases/build-journal.ts'
import { BuildQueue } from './usecases/build-queue.ts'
import { Catalog } from './usecases/catalog.ts'
import { ChannelSource, channelRecord } from './usecases/channel-source.ts'
import { EvaluateImage } from './usecases/evaluate-image.ts'
import { FailedPrebuilds } from './usecases/failed-prebuilds.ts'
import { GitSource } from './usecases/git-source.ts'
import { ImageBuilds } from './usecases/image-builds.ts'
import { LayerShelf } from './usecases/layer-shelf.ts'
import { LiveRevisions } from './usecases/live-revisions.ts'
import { PackageSets } from './usecases/package-sets.ts'
import { Prebuilds } from './usecases/prebuilds.ts'
import { PullCounter, pullRecord } from './usecases/pull-counter.ts'
import { PullManifest } from './usecases/pull-manifest.ts'
import { Reconciler } from './usecases/reconcile.ts'
import { imageRecord, layerRecord, planRecord, Records } from './usecases/records.ts'
import { GitRefStates } from './usecases/ref-states.ts'
import { Stage } from './usecases/stage.ts'
import { StoredImages } from './usecases/stored-images.ts'

/** Milliseconds that saving pull counts and the last builds may take at the end. */
const flushLimit = 2000

export function composeLog(config: Config): Log {
  return createLog(config.logLevel)
}

/** What sources are made with. */
interface Tools {
  readonly state: StateFolder
  readonly groups: ProcessGroups
  readonly store: ObjectStore
  readonly metrics: Metrics
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
  const metrics = new PrometheusMetrics()
  const state = await StateFolder.open(config.statePath)

  const env = nixEnvironment(process.env)
  const launcher = await findLauncher(env.PATH ?? '')
  const nix = new LocalNixStore({
    groups,
    env,
    launcher,
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

  const running = composeSource(config, { state, groups, store, metrics, log })
  const popularity = composePopularity(config, log)
  await Promise.all([running.start(), popularity.start()])
  const { source } = running

  const recipe = { compression: config.compression, layerBudget: config.layerBudget }
  const blobs = new Blobs(store, log)
  const imageRecords = new Records(store, 'images', imageRecord, log)
  const images = new StoredImages(imageRecords, blobs)
  const evaluator = new NixEvaluator({
    groups,
    env: evaluationEnvironment(env, state.emptyHome),
    launcher,
    timeout: config.evaluationTimeout,
    // One more than prebuilds may take: see Stage.
    concurrency: config.buildConcurrency + 1,
    log,
  })
  const evaluation = new EvaluateImage({
    packageSets: new PackageSets(source, nix),
    evaluator,
    log,
  })
  const journal = new BuildJournal({
    records: new Records(store, 'builds', buildEntry, log),
    remove: (id) => store.delete(`builds/${id}`),
    log,
  })
  // Not awaited: it only fills the memory with what the storage has.
  void journal.load()
  const nixStage = new Stage(config.buildConcurrency)
  const build = new BuildImage({
    evaluation,
    nix,
    packer,
    layers: new LayerShelf(new Records(store, 'layers', layerRecord, log), blobs, metrics, log),
    plans: new Records(store, 'plans', planRecord, log),
    images: imageRecords,
    blobs,
    popularity,
    recipe,
    nixStage,
    packStage: new Stage(availableParallelism()),
    journal,
    metrics,
    log,
  })
  const builds = new ImageBuilds(new BuildQueue(), images, build)
  const pulls = new PullCounter({
    records: new Records(store, 'pulls', pullRecord, log),
    instance: state.instance,
    log,
  })
  const failed = new FailedPrebuilds()
  const prebuilds = new Prebuilds({
    evaluation,
    nix,
    builds,
    failed,
    nixStage,
    limit: { seconds: config.prebuild.builderTimeout, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
    concurrency: config.buildConcurrency,
    log,
  })
  const pull = new PullManifest({
    source,
    live: new LiveRevisions(evaluation),
    images,
    builds,
    recipe,
    pullWait: config.pullWait,
    limit: { seconds: config.builderTimeout, setting: 'NIX_TIMEOUT' },
    metrics,
    onBuild: (key, pulled) => prebuilds.take(key, pulled),
  })
  await pulls.load()
  const following = running.git && {
    ...running.git,
    images: imageRecords,
    pulls,
    prebuilds,
    failed,
    forgetFailures: () => builds.forgetFailures(),
    scope: config.prebuild,
    popular: config.prebuild.popular,
    recipe,
    metrics,
    log,
  }
  const reconciler = following && new Reconciler(following)
  const refs = following && new GitRefStates(following)
  running.git?.onRefs(() => reconciler?.run())
  reconciler?.run()

  const catalog = new Catalog(imageRecords)
  const onPull = (name: ImageName, address: string) => pulls.count(name, address)
  const hooks = webhooks({
    // Only a git repository sends any.
    secret: running.git && config.webhookSecret,
    repository: config.source.kind === 'git' ? config.source.url : '',
    others: config.webhookRepositories,
    request: () => reconciler?.request(),
    log,
    onOutcome: (provider, outcome) => metrics.webhookAnswered(provider, outcome),
  })
  metrics.watchQueue((queue) =>
    queue === 'pull' ? nixStage.waitingPulls : prebuilds.waitingFor(queue),
  )
  const onBlobBytes = (count: number) => metrics.blobBytesServed(count)
  const { publicUrl } = config
  return {
    app: createApp(
      { pull, images, blobs, catalog, source, onPull, onBlobBytes, log },
      hooks,
      metricsPage(metrics),
      api({
        builds: journal,
        refs,
        retry: () => (reconciler ? reconciler.retry() : builds.forgetFailures()),
        log,
      }),
      statusPage({ builds: journal, refs, source, log, ...(publicUrl ? { publicUrl } : {}) }),
    ),
    async stop() {
      running.stop()
      popularity.stop()
      reconciler?.stop()
      prebuilds.stop()
      await Promise.all([
        groups.killAll(),
        packer.close(),
        Promise.race([Promise.all([pulls.flush(), journal.flush()]), sleep(flushLimit)]),
      ])
      await state[Symbol.asyncDispose]()
    },
  }
}

/** A source with what starts and ends it. */
interface RunningSource {
  readonly source: Source
  /** What the reconcile loop needs; of a git repository only. */
  readonly git?: {
    readonly source: GitSource
    readonly repository: GitMirror
    /** Has somebody told of each new ref table. */
    onRefs(listener: () => void): void
  }
  start(): Promise<void>
  stop(): void
}

function composeSource(
  { source, statePath, pollInterval }: Config,
  { state, groups, store, metrics, log }: Tools,
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
      let listener = () => {}
      const git = new GitSource({
        repository,
        pollInterval,
        metrics,
        log,
        onRefs: () => listener(),
      })
      return {
        source: git,
        git: {
          source: git,
          repository,
          onRefs: (told) => {
            listener = told
          },
        },
        start: () => git.start(),
        stop: () => git.stop(),
      }
    }
  }
}

function composePopularity({ popularityUrl: url, statePath }: Config, log: Log) {
  return url === undefined
    ? { current: () => noPopularity, async start() {}, stop() {} }
    : new PopularityDocument({ url, folder: join(statePath, 'popularity'), log })
}
