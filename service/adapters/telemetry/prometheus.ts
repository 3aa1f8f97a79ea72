/**
 * Metrics of the service, in the text format of Prometheus.
 * @see https://prometheus.io/docs/practices/naming/
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type {
  BuildMetrics,
  BuildOutcome,
  Cause,
  LayerOutcome,
  ManifestOutcome,
} from '../../build/ports.ts'
import type { HttpMetrics, MetricsText } from '../../http/ports.ts'
import type { PrebuildMetrics, QueueClass, ReconcileOutcome } from '../../prebuild/ports.ts'
import type { FetchOutcome, SourceMetrics } from '../../source/ports.ts'
import { BoundedLabel } from './bounded-label.ts'

/** Seconds. A fetch without news takes milliseconds, the first fetch of a large repository minutes. */
const fetchBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
/** Seconds. Planning takes milliseconds, compiling may take an hour. */
const stageBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

/** Lists all values of a label. The type of the argument makes the compiler check that none is missing. */
const all = <T extends string>(values: Record<T, true>) => Object.keys(values) as T[]

const reconcileOutcomes = all<ReconcileOutcome>({ settled: true, queued: true, failed: true })
const fetchOutcomes = all<FetchOutcome>({ fetched: true, failed: true })
const queueClasses = all<QueueClass>({ pull: true, tag: true, branch: true })
const buildOutcomes = all<BuildOutcome>({ built: true, failed: true, aborted: true })
const causes = all<Cause>({ pull: true, prebuild: true })
const manifestOutcomes = all<ManifestOutcome>({
  record: true,
  built: true,
  waited: true,
  failed: true,
})
const layerOutcomes = all<LayerOutcome>({ reused: true, packed: true })

export class PrometheusMetrics
  implements SourceMetrics, BuildMetrics, PrebuildMetrics, HttpMetrics, MetricsText
{
  readonly #registry = new Registry()
  readonly #registers = [this.#registry]
  readonly #stages = new BoundedLabel()
  readonly #providers = new BoundedLabel()
  readonly #webhookOutcomes = new BoundedLabel()
  #queueLength: (queue: QueueClass) => number = () => 0

  readonly #reconciles = new Counter({
    name: 'slipway_reconciles_total',
    help: 'Reconciles of the package set with the storage, by outcome.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })
  readonly #fetches = new Histogram({
    name: 'slipway_fetch_duration_seconds',
    help: 'Duration of git fetches of the package-set repository, by outcome.',
    labelNames: ['outcome'],
    buckets: fetchBuckets,
    registers: this.#registers,
  })
  readonly #builds = new Counter({
    name: 'slipway_builds_total',
    help: 'Finished builds of images, by outcome and by what requested the build first.',
    labelNames: ['outcome', 'cause'],
    registers: this.#registers,
  })
  readonly #stageSeconds = new Histogram({
    name: 'slipway_build_stage_duration_seconds',
    help: 'Duration of the stages of builds.',
    labelNames: ['stage'],
    buckets: stageBuckets,
    registers: this.#registers,
  })
  readonly #webhooks = new Counter({
    name: 'slipway_webhooks_total',
    help: 'Answered webhooks, by provider and outcome.',
    labelNames: ['provider', 'outcome'],
    registers: this.#registers,
  })
  readonly #manifests = new Counter({
    name: 'slipway_manifest_requests_total',
    help: 'Requests for a manifest by tag, by outcome: from a record, a new build, a running build, or failed.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })
  readonly #blobBytes = new Counter({
    name: 'slipway_blob_served_bytes_total',
    help: 'Bytes of blobs sent to clients, without redirected requests.',
    registers: this.#registers,
  })
  readonly #layers = new Counter({
    name: 'slipway_layers_total',
    help: 'Layers that builds needed, by outcome: stored already, or packed.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })

  constructor() {
    const read = (queue: QueueClass) => this.#queueLength(queue)
    new Gauge({
      name: 'slipway_queue_length',
      help: 'Builds that have not started, by class: for a pull, for a tag, or for a branch.',
      labelNames: ['class'],
      registers: this.#registers,
      collect() {
        for (const queue of queueClasses) this.set({ class: queue }, read(queue))
      },
    })
    collectDefaultMetrics({ register: this.#registry })
    this.#createSeries()
  }

  /** Content type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** Returns all metrics as Prometheus scrapes them. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  reconciled(outcome: ReconcileOutcome): void {
    this.#reconciles.inc({ outcome })
  }

  fetched(outcome: FetchOutcome, seconds: number): void {
    this.#fetches.observe({ outcome }, seconds)
  }

  watchQueue(length: (queue: QueueClass) => number): void {
    this.#queueLength = length
  }

  buildEnded(outcome: BuildOutcome, cause: Cause): void {
    this.#builds.inc({ outcome, cause })
  }

  stageEnded(stage: string, seconds: number): void {
    this.#stageSeconds.observe({ stage: this.#stages.bounded(stage) }, seconds)
  }

  webhookAnswered(provider: string, outcome: string): void {
    this.#webhooks.inc({
      provider: this.#providers.bounded(provider),
      outcome: this.#webhookOutcomes.bounded(outcome),
    })
  }

  manifestAnswered(outcome: ManifestOutcome): void {
    this.#manifests.inc({ outcome })
  }

  blobBytesServed(bytes: number): void {
    this.#blobBytes.inc(bytes)
  }

  layerTaken(outcome: LayerOutcome): void {
    this.#layers.inc({ outcome })
  }

  /** Creates all series at zero: `rate` does not see the first event of a series that begins with it. */
  #createSeries(): void {
    for (const outcome of reconcileOutcomes) this.#reconciles.inc({ outcome }, 0)
    for (const outcome of fetchOutcomes) this.#fetches.zero({ outcome })
    for (const outcome of buildOutcomes) {
      for (const cause of causes) this.#builds.inc({ outcome, cause }, 0)
    }
    for (const outcome of manifestOutcomes) this.#manifests.inc({ outcome }, 0)
    for (const outcome of layerOutcomes) this.#layers.inc({ outcome }, 0)
  }
}
