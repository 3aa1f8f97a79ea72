/** What use cases and the HTTP edge tell whoever watches the service. Never fails, never waits. */
import type { Cause } from './ports.ts'

/** `settled`: nothing was missing. `queued`: something was, and builds were asked for. */
export type ReconcileOutcome = 'settled' | 'queued' | 'failed'

export type FetchOutcome = 'fetched' | 'failed'

/** Who waits for a build: a pull, or a prebuild for a tag or a branch. */
export type QueueClass = 'pull' | 'tag' | 'branch'

export type BuildOutcome = 'built' | 'failed' | 'aborted'

/**
 * How a manifest that was asked for by tag came about. `record`: from memory or storage. `built`: for
 * this request. `waited`: by a build that others had begun. `failed`: an error was answered, also that
 * of a build that still goes on.
 */
export type ManifestOutcome = 'record' | 'built' | 'waited' | 'failed'

export type LayerOutcome = 'reused' | 'packed'

export interface Metrics {
  reconciled(outcome: ReconcileOutcome): void
  /** @param seconds that the fetch took */
  fetched(outcome: FetchOutcome, seconds: number): void
  /** @param length asked whenever somebody looks: builds that have not started */
  watchQueue(length: (queue: QueueClass) => number): void
  buildEnded(outcome: BuildOutcome, cause: Cause): void
  /** @param stage of a build, out of a small set of names: `realise` */
  stageEnded(stage: string, seconds: number): void
  /** @param provider and outcome, both out of a small set of names: `github`, `accepted` */
  webhookAnswered(provider: string, outcome: string): void
  manifestAnswered(outcome: ManifestOutcome): void
  /** @param bytes that were sent, which a client that goes away makes fewer than were asked for */
  blobBytesServed(bytes: number): void
  layerTaken(outcome: LayerOutcome): void
}

/** For whoever does not watch. */
export const noMetrics: Metrics = {
  reconciled() {},
  fetched() {},
  watchQueue() {},
  buildEnded() {},
  stageEnded() {},
  webhookAnswered() {},
  manifestAnswered() {},
  blobBytesServed() {},
  layerTaken() {},
}
