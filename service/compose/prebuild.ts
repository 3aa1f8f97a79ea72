/** Composes the prebuild room: the queue of prebuilds, the reconciler that fills it, and the pull counter. */
import type { Config } from '../config/config.ts'
import type { Recipe } from '../image/keys.ts'
import type { ReleaseLearning } from '../layering/ports.ts'
import { BuildBatch } from '../prebuild/build-batch.ts'
import { DeclaredImages } from '../prebuild/declared-images.ts'
import { DesiredImages } from '../prebuild/desired-images.ts'
import type { PrebuildMetrics } from '../prebuild/ports.ts'
import { PrebuildQueue } from '../prebuild/prebuild-queue.ts'
import { PullCounter, pullRecord } from '../prebuild/pull-counter.ts'
import { Reconciler } from '../prebuild/reconciler.ts'
import { GitRefStates } from '../prebuild/ref-states.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Build } from './build.ts'
import type { ServiceEvents } from './events.ts'
import type { Nix } from './nix.ts'
import type { RunningSource } from './source.ts'
import type { Storage } from './storage.ts'

interface Tools {
  readonly nix: Nix
  readonly storage: Storage
  readonly source: RunningSource
  readonly planning: ReleaseLearning
  readonly build: Build
  /** Name of this instance. */
  readonly instance: string
  readonly recipe: Recipe
  readonly events: ServiceEvents
  readonly metrics: PrebuildMetrics
  readonly log: Log
}

export interface Prebuild {
  readonly pulls: PullCounter
  readonly queue: PrebuildQueue
  /** Absent for a source without refs. `refs` is then absent, too. */
  readonly reconciler?: Reconciler
  readonly refs?: GitRefStates
  /** Starts to reconcile, now and whenever the refs change. The pull counts must have been loaded. */
  follow(): void
}

export function composePrebuild(config: Config, tools: Tools): Prebuild {
  const { nix, storage, source, planning, build, instance, recipe, events, metrics, log } = tools
  const { failures, nixLimiter } = build
  const { prebuild: scope, buildConcurrency: concurrency } = config
  const pulls = new PullCounter({ records: storage.records('pulls', pullRecord), instance, log })
  const batches = new BuildBatch({
    evaluation: build.evaluation,
    nix: nix.store,
    builds: build.builds,
    failures,
    planning,
    nixLimiter,
    limit: { seconds: scope.builderTimeout, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
    log,
  })
  const queue = new PrebuildQueue({ batches, failures, concurrency, log })
  metrics.watchQueue((kind) => (kind === 'pull' ? nixLimiter.waitingPulls : queue.waitingFor(kind)))
  if (source.git === undefined) return { pulls, queue, follow() {} }
  const declared = new DeclaredImages(source.git.repository)
  const desired = new DesiredImages({ declared, pulls, popular: scope.popular, recipe })
  const images = storage.imageRecords
  const options = { ...source.git, desired, images, queue, failures, scope, metrics, log }
  const reconciler = new Reconciler(options)
  return {
    pulls,
    queue,
    reconciler,
    refs: new GitRefStates(options),
    follow() {
      events.on('refs-changed', () => reconciler.run())
      // The source may have fetched its refs before this call.
      reconciler.run()
    },
  }
}
