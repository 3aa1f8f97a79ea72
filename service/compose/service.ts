/** The composition root: which adapter stands behind which port. */

import type { RequestListener } from 'node:http'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { evaluationEnvironment } from '../adapters/nix/environment.ts'
import { NixEvaluator } from '../adapters/nix/evaluator.ts'
import { LocalNixStore } from '../adapters/nix/store.ts'
import { LayerPacker } from '../adapters/packing/layer-packer.ts'
import { createLog } from '../adapters/telemetry/log.ts'
import { PrometheusMetrics } from '../adapters/telemetry/prometheus.ts'
import { buildEntry } from '../build/build-entry.ts'
import { BuildImage } from '../build/build-image.ts'
import { BuildJournal } from '../build/build-journal.ts'
import { BuildQueue } from '../build/build-queue.ts'
import { EvaluateImage } from '../build/evaluate-image.ts'
import { ImageBuilds } from '../build/image-builds.ts'
import { LayerCache, layerRecord } from '../build/layer-cache.ts'
import { LiveRevisions } from '../build/live-revisions.ts'
import { PackageSets } from '../build/package-sets.ts'
import { PullManifest } from '../build/pull-manifest.ts'
import { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import type { Config } from '../config/config.ts'
import { createApp } from '../http/app.ts'
import { metrics as metricsPage } from '../http/ops/metrics.ts'
import { api } from '../http/status/api.ts'
import { statusPage } from '../http/status/page.ts'
import { webhooks } from '../http/webhooks/webhooks.ts'
import type { ImageName } from '../image/image-name.ts'
import { PlanClosure } from '../layering/plan-closure.ts'
import { knowledgeRecord, planRecord } from '../layering/records.ts'
import { FailedPrebuilds } from '../prebuild/failed-prebuilds.ts'
import { Prebuilds } from '../prebuild/prebuilds.ts'
import { PullCounter, pullRecord } from '../prebuild/pull-counter.ts'
import { Reconciler } from '../prebuild/reconciler.ts'
import { GitRefStates } from '../prebuild/ref-states.ts'
import { Leases } from '../queue/leases.ts'
import { trackedRepository } from '../source/tracked-repository.ts'
import { Blobs } from '../storage/blobs.ts'
import { Catalog } from '../storage/catalog.ts'
import { imageRecord } from '../storage/image-record.ts'
import { Records } from '../storage/records.ts'
import { StoredImages } from '../storage/stored-images.ts'
import type { Log } from '../telemetry/ports.ts'
import type { FoundNix } from './nix.ts'
import { composePopularity, composeSource } from './source.ts'
import { composeStorage } from './storage.ts'

/** Milliseconds that saving pull counts and the last builds may take at the end. */
const flushLimit = 2000
/** Milliseconds after the start: whoever asks for something warm right then comes first. */
const packerDelay = 1000

export function composeLog(config: Config): Log {
  return createLog(config.logLevel)
}

export interface Service {
  readonly app: RequestListener
  /** Ends timers, and every process that was started. */
  stop(): Promise<void>
}

/**
 * Everything but the listening socket, ready to answer.
 * @param found by findNix
 * @throws Failure unavailable: storage, git source or Nix cannot be used
 */
export async function compose(config: Config, log: Log, found: FoundNix): Promise<Service> {
  const { groups, env } = found
  const metrics = new PrometheusMetrics()
  const state = await StateFolder.open(config.statePath)

  const launcher = await found.launcher
  const nix = new LocalNixStore({
    groups,
    env,
    launcher,
    rootsFolder: state.roots,
    temporaryFolder: state.temporary,
    builders: config.buildConcurrency,
  })
  // Awaited below, with what else takes a while.
  const nixFound = found.version.then((version) => log.info({ nix: version }, 'Nix found'))
  nixFound.catch(() => {})

  const storage = await composeStorage(config.storage, state, log)
  const { store, recordOptions } = storage
  const packer = new LayerPacker({
    folder: storage.stagingFolder,
    md5: storage.md5,
    compression: config.compression,
    concurrency: availableParallelism(),
    log,
  })

  const running = composeSource(config, { state, groups, store, metrics, log })
  const popularity = composePopularity(config, log)
  await Promise.all([nixFound, running.start(), popularity.start()])
  const { source } = running

  const recipe = { compression: config.compression, layerBudget: config.layerBudget }
  const blobs = new Blobs({
    store,
    pieces: storage.pieces,
    redirects: storage.redirects,
    remembers: storage.isRemote,
    log,
  })
  const imageRecords = new Records(store, 'images', imageRecord, log, recordOptions)
  const images = new StoredImages(imageRecords, blobs)
  blobs.onLost((digest) => images.forgetBlob(digest))
  const evaluator = new NixEvaluator({
    groups,
    env: evaluationEnvironment(env, state.emptyHome),
    launcher,
    timeout: config.evaluationTimeout,
    // One more than prebuilds may take: see PriorityLimiter.
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
    log,
  })
  // Not awaited: it only fills the memory with what the storage has.
  void journal.load()
  const nixLimiter = new PriorityLimiter(config.buildConcurrency)
  const planning = new PlanClosure({
    plans: new Records(store, 'plans', planRecord, log, recordOptions),
    knowledge: new Records(store, 'knowledge', knowledgeRecord, log),
    popularity,
    recipe,
    log,
  })
  const build = new BuildImage({
    evaluation,
    nix,
    packer,
    layers: new LayerCache({
      records: new Records(store, 'layers', layerRecord, log, recordOptions),
      blobs,
      space: storage.space,
      metrics,
      log,
    }),
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
  const leases = new Leases({ store, objects: storage.versioned, instance: state.instance, log })
  const builds = new ImageBuilds(new BuildQueue(), images, build, leases)
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
    planning,
    nixLimiter,
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
  const preparing = setTimeout(() => packer.prepare(), packerDelay).unref()

  const catalog = new Catalog(imageRecords)
  const onPull = (name: ImageName, address: string) => pulls.count(name, address)
  const hooks = webhooks({
    // Only a git repository sends any.
    secret: running.git && config.webhookSecret,
    repository: trackedRepository(
      config.source.kind === 'git' ? config.source.url : '',
      config.webhookRepositories,
    ),
    request: () => reconciler?.request(),
    log,
    onOutcome: (provider, outcome) => metrics.webhookAnswered(provider, outcome),
  })
  metrics.watchQueue((queue) =>
    queue === 'pull' ? nixLimiter.waitingPulls : prebuilds.waitingFor(queue),
  )
  const onBlobBytes = (count: number) => metrics.blobBytesServed(count)
  const { publicUrl } = config
  return {
    app: createApp(
      { pull, images, blobs, catalog, source, storage: store, onPull, onBlobBytes, log },
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
      clearTimeout(preparing)
      running.stop()
      popularity.stop()
      reconciler?.stop()
      prebuilds.stop()
      await Promise.all([
        groups.killAll(),
        packer.close(),
        Promise.race([
          Promise.all([pulls.flush(), journal.flush(), planning.flush(), leases.close()]),
          sleep(flushLimit),
        ]),
      ])
      storage.stop()
      await state[Symbol.asyncDispose]()
    },
  }
}
