/**
 * Assigns ids to revisions of a live folder. The folder may change at any time and has no commit, so the id is a
 * hash of the packages to which the image evaluates now.
 */

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { EvaluatedPackage } from '../closure/package.ts'
import { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import type { Revision } from '../source/ports.ts'
import type { ImageEvaluation } from './ports.ts'

/**
 * Milliseconds after its start in which requests join an evaluation, and after its end in which they reuse the
 * result. So HEAD and GET of one pull share an evaluation, and a pull after an edit of the folder sees the edit.
 */
const freshness = 1000
/** Most images that are evaluated at a time. */
const mostImages = 1000

export interface IdentifiedRevision {
  /** A revision whose id determines the image. */
  readonly revision: Revision
  /** The packages of the image; absent for a commit, which needs no evaluation to be identified. */
  readonly packages?: readonly EvaluatedPackage[]
}

interface RunningEvaluation {
  readonly outcome: Promise<IdentifiedRevision>
  /** By `performance.now()`. */
  readonly startedAt: number
}

export class LiveRevisions {
  readonly #evaluation: Pick<ImageEvaluation, 'packages'>
  readonly #recent = new LRUCache<string, Promise<IdentifiedRevision>>({
    max: mostImages,
    ttl: freshness,
    // The clock that `startedAt` uses, also in tests that replace the clock.
    perf: performance,
  })
  readonly #running = new Map<string, RunningEvaluation>()
  /** Evaluations that start as soon as the running one of the same image ends. */
  readonly #queued = new Map<string, Promise<IdentifiedRevision>>()

  constructor(evaluation: Pick<ImageEvaluation, 'packages'>) {
    this.#evaluation = evaluation
  }

  /**
   * Returns the revision itself if it is a commit; else evaluates the image to find its id.
   * @throws what the evaluation throws; Failure overloaded
   */
  async identify(name: ImageName, revision: Revision): Promise<IdentifiedRevision> {
    if (revision.liveFolder === undefined) return { revision }
    const key = JSON.stringify([name.packages, name.platform.system])
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    const running = this.#running.get(key)
    if (running === undefined) return this.#start(key, name, revision)
    if (performance.now() - running.startedAt < freshness) return running.outcome
    return this.#queue(key, running, name, revision)
  }

  /** Returns the evaluation after the running one, which may have read files before they changed. */
  #queue(
    key: string,
    running: RunningEvaluation,
    name: ImageName,
    revision: Revision,
  ): Promise<IdentifiedRevision> {
    const queued = this.#queued.get(key)
    if (queued !== undefined) return queued
    const next = running.outcome
      .catch(() => {})
      .then(() => {
        this.#queued.delete(key)
        return this.#start(key, name, revision)
      })
    this.#queued.set(key, next)
    return next
  }

  async #start(key: string, name: ImageName, revision: Revision): Promise<IdentifiedRevision> {
    if (this.#running.size >= mostImages) {
      throw new Failure(
        'overloaded',
        `${name.text} is not evaluated now: ${mostImages} images are being evaluated; try again later`,
        { retryAfter: 10 },
      )
    }
    const outcome = this.#evaluate(name, revision)
    this.#running.set(key, { outcome, startedAt: performance.now() })
    try {
      return await outcome
    } finally {
      this.#running.delete(key)
      this.#recent.set(key, outcome)
    }
  }

  async #evaluate(name: ImageName, revision: Revision): Promise<IdentifiedRevision> {
    const packages = await this.#evaluation.packages(name, revision)
    const id = createHash('sha256').update(JSON.stringify(packages)).digest('hex')
    return { revision: { ...revision, id }, packages }
  }
}
