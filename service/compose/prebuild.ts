/** Composes the prebuild room: following the repository, and counting pulls. */
import type { Config } from '../config/config.ts'
import type { Recipe } from '../image/keys.ts'
import type { ReleaseLearning } from '../layering/ports.ts'
import { FailedPrebuilds } from '../prebuild/failed-prebuilds.ts'
import type { PrebuildMetrics } from '../prebuild/ports.ts'
import { Prebuilds } from '../prebuild/prebuilds.ts'
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
  readonly prebuilds: Prebuilds
  /** Absent for a source without refs, as is `refs`. */
  readonly reconciler?: Reconciler
  readonly refs?: GitRefStates
  /** Follows the source from now on: what pulls counted must have been loaded before. */
  follow(): void
}

export function composePrebuild(config: Config, tools: Tools): Prebuild {
  const { nix, storage, source, planning, build, instance, recipe, events, metrics, log } = tools
  const { evaluation, builds, nixLimiter } = build
  const pulls = new PullCounter({ records: storage.records('pulls', pullRecord), instance, log })
  const failed = new FailedPrebuilds()
  const prebuilds = new Prebuilds({
    evaluation,
    nix: nix.store,
    builds,
    failed,
    planning,
    nixLimiter,
    limit: { seconds: config.prebuild.builderTimeout, setting: 'SLIPWAY_PREBUILD_TIMEOUT' },
    concurrency: config.buildConcurrency,
    log,
  })
  events.on('pull-building', (imageKey, building) => prebuilds.take(imageKey, building))
  metrics.watchQueue((queue) =>
    queue === 'pull' ? nixLimiter.waitingPulls : prebuilds.waitingFor(queue),
  )
  if (source.git === undefined) return { pulls, prebuilds, follow() {} }
  const following = {
    ...source.git,
    images: storage.imageRecords,
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
  const reconciler = new Reconciler(following)
  return {
    pulls,
    prebuilds,
    reconciler,
    refs: new GitRefStates(following),
    follow() {
      events.on('refs-changed', () => reconciler.run())
      // The source may have its refs already.
      reconciler.run()
    },
  }
}
