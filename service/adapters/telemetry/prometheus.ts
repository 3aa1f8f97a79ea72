/**
 * The service's metrics in the text format of Prometheus.
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
import { LabelValues } from './label-values.ts'

/** Seconds: a fetch that brings nothing takes milliseconds, the first one of a large repository minutes. */
const fetchBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
/** Seconds: planning takes milliseconds, compiling may take an hour. */
const stageBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

/** All values of a label whose values are known beforehand. */
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
  readonly #stages = new LabelValues()
  readonly #providers = new LabelValues()
  readonly #webhookOutcomes = new LabelValues()
  #queueLength: (queue: QueueClass) => number = () => 0

  readonly #reconciles = new Counter({
    name: 'slipway_reconciles_total',
    help: 'Comparisons of what should exist with what does, by how they ended.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })
  readonly #fetches = new Histogram({
    name: 'slipway_fetch_duration_seconds',
    help: 'How long git fetches of the package-set repository took.',
    labelNames: ['outcome'],
    buckets: fetchBuckets,
    registers: this.#registers,
  })
  readonly #builds = new Counter({
    name: 'slipway_builds_total',
    help: 'Builds of images that have ended, by how, and by whether a pull or a prebuild asked first.',
    labelNames: ['outcome', 'cause'],
    registers: this.#registers,
  })
  readonly #stageSeconds = new Histogram({
    name: 'slipway_build_stage_duration_seconds',
    help: 'How long the stages of builds took.',
    labelNames: ['stage'],
    buckets: stageBuckets,
    registers: this.#registers,
  })
  readonly #webhooks = new Counter({
    name: 'slipway_webhooks_total',
    help: 'Webhooks that were answered, by sender and outcome.',
    labelNames: ['provider', 'outcome'],
    registers: this.#registers,
  })
  readonly #manifests = new Counter({
    name: 'slipway_manifest_requests_total',
    help: 'Manifests asked for by tag, by whether a record, an own build, or a build of others answered.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })
  readonly #blobBytes = new Counter({
    name: 'slipway_blob_served_bytes_total',
    help: 'Bytes of blobs that were sent to clients; redirects are not counted.',
    registers: this.#registers,
  })
  readonly #layers = new Counter({
    name: 'slipway_layers_total',
    help: 'Layers that builds needed, by whether they were stored already or had to be packed.',
    labelNames: ['outcome'],
    registers: this.#registers,
  })

  constructor() {
    const read = (queue: QueueClass) => this.#queueLength(queue)
    new Gauge({
      name: 'slipway_queue_length',
      help: 'Builds that have not started, by who waits for them.',
      labelNames: ['class'],
      registers: this.#registers,
      collect() {
        for (const queue of queueClasses) this.set({ class: queue }, read(queue))
      },
    })
    collectDefaultMetrics({ register: this.#registry })
    this.#beginAtZero()
  }

  /** What `text` must be sent as. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** All metrics, as Prometheus scrapes them. */
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

  /** A series that appears with its first event hides that event from `rate`. */
  #beginAtZero(): void {
    for (const outcome of reconcileOutcomes) this.#reconciles.inc({ outcome }, 0)
    for (const outcome of fetchOutcomes) this.#fetches.zero({ outcome })
    for (const outcome of buildOutcomes) {
      for (const cause of causes) this.#builds.inc({ outcome, cause }, 0)
    }
    for (const outcome of manifestOutcomes) this.#manifests.inc({ outcome }, 0)
    for (const outcome of layerOutcomes) this.#layers.inc({ outcome }, 0)
  }
}
