/** Composes the HTTP edge. */
import type { RequestListener } from 'node:http'
import type { PrometheusMetrics } from '../adapters/telemetry/prometheus.ts'
import type { ManifestPull } from '../build/ports.ts'
import type { Config } from '../config/config.ts'
import { createApp } from '../http/app.ts'
import { metrics as metricsPage } from '../http/ops/metrics.ts'
import { api } from '../http/status/api.ts'
import { statusPage } from '../http/status/page.ts'
import { webhooks } from '../http/webhooks/webhooks.ts'
import type { Source } from '../source/ports.ts'
import { trackedRepository } from '../source/tracked-repository.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Build } from './build.ts'
import type { Prebuild } from './prebuild.ts'
import type { Storage } from './storage.ts'

interface Tools {
  readonly storage: Storage
  readonly source: Source
  readonly build: Build
  readonly pull: ManifestPull
  readonly prebuild: Prebuild
  readonly metrics: PrometheusMetrics
  readonly log: Log
}

export function composeHttp(config: Config, tools: Tools): RequestListener {
  const { storage, source, build, pull, prebuild, metrics, log } = tools
  const { store, blobs, images, catalog } = storage
  const { journal, failures } = build
  const { pulls, reconciler, refs } = prebuild
  const { publicUrl } = config
  return createApp(
    {
      pull,
      images,
      blobs,
      catalog,
      source,
      storage: store,
      onPull: (name, address) => pulls.count(name, address),
      onBlobBytes: (count) => metrics.blobBytesServed(count),
      log,
    },
    webhooks({
      // A source without refs has nothing that a webhook could announce.
      secret: reconciler && config.webhookSecret,
      repository: trackedRepository(
        config.source.kind === 'git' ? config.source.url : '',
        config.webhookRepositories,
      ),
      request: () => reconciler?.request(),
      log,
      onOutcome: (provider, outcome) => metrics.webhookAnswered(provider, outcome),
    }),
    metricsPage(metrics),
    api({
      builds: journal,
      refs,
      retry: () => (reconciler ? reconciler.retry() : failures.clear()),
      log,
    }),
    statusPage({ builds: journal, refs, source, log, ...(publicUrl ? { publicUrl } : {}) }),
  )
}
