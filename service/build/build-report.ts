/** Reports one build to the log, to the journal and to the metrics, with the time of each stage. */

import { messageOf } from '../image/errors.ts'
import type { Log } from '../telemetry/ports.ts'
import type { BuildMetrics, BuildRequest, JournalWriter, RunningBuild } from './ports.ts'

export interface BuildObservers {
  readonly journal: JournalWriter
  readonly metrics: BuildMetrics
  readonly log: Log
}

export class BuildReport {
  readonly #request: BuildRequest
  readonly #observers: BuildObservers
  readonly #entry: RunningBuild
  /** Milliseconds by stage. */
  readonly #milliseconds: Record<string, number> = {}

  /** Reports that the build starts. */
  constructor(request: BuildRequest, observers: BuildObservers) {
    const { name, revision, cause } = request
    this.#request = request
    this.#observers = observers
    this.#entry = observers.journal.begin({
      image: name.text,
      revision: revision.id,
      ref: revision.ref,
      cause,
    })
    observers.log.info({ ...this.#fields, ref: revision.ref }, 'building image')
  }

  /** Runs a stage, and reports how long it took, also when it fails. */
  async stage<T>(stage: string, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now()
    try {
      return await work()
    } finally {
      const milliseconds = Math.round(performance.now() - start)
      this.#milliseconds[stage] = milliseconds
      this.#entry.stage(stage, milliseconds)
      this.#observers.metrics.stageEnded(stage, milliseconds / 1000)
    }
  }

  built(digest: string): void {
    const { metrics, log } = this.#observers
    const fields = { ...this.#fields, digest, milliseconds: this.#milliseconds }
    log.info(fields, 'image built')
    this.#entry.built(digest)
    metrics.buildEnded('built', this.#request.cause)
  }

  /** Reports a failure. An HTTP answer reports it again, but only if a client still waits for the build. */
  failed(error: unknown): void {
    const { metrics, log } = this.#observers
    const fields = { ...this.#fields, failure: messageOf(error), milliseconds: this.#milliseconds }
    log.warn(fields, 'image not built')
    this.#entry.failed(error)
    metrics.buildEnded('failed', this.#request.cause)
  }

  /** Reports that the GC roots of the build could not be removed. */
  rootsRemain(error: unknown): void {
    const fields = { ...this.#fields, failure: messageOf(error) }
    this.#observers.log.warn(fields, 'the GC roots of the build could not be removed')
  }

  get #fields() {
    const { name, revision, cause } = this.#request
    return { image: name.text, revision: revision.id, cause }
  }
}
