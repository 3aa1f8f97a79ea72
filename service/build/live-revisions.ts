/**
 * A folder that may change under our hands has no revision of its own; what an image is evaluated to
 * has one. So the image is evaluated first, and the outcome stands for the revision.
 */

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { EvaluatedPackage } from '../closure/package.ts'
import { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import type { Revision } from '../source/ports.ts'
import type { EvaluateImage } from './evaluate-image.ts'

/**
 * Milliseconds that an evaluation is good for, from its end; and for which one that runs is joined, from
 * its start. So the requests of one pull share it, and nobody gets what is older than their request.
 */
const freshness = 1000
/** Images that are evaluated, or wait for it, at a time. */
const mostImages = 1000

export interface Pinned {
  readonly revision: Revision
  /** What the evaluation found, where one was needed. */
  readonly packages?: readonly EvaluatedPackage[]
}

interface Evaluation {
  readonly outcome: Promise<Pinned>
  readonly startedAt: number
}

export class LiveRevisions {
  readonly #evaluation: EvaluateImage
  readonly #recent = new LRUCache<string, Promise<Pinned>>({ max: mostImages, ttl: freshness })
  readonly #running = new Map<string, Evaluation>()
  /** Those that start when the running one of the same image ends. */
  readonly #next = new Map<string, Promise<Pinned>>()

  constructor(evaluation: EvaluateImage) {
    this.#evaluation = evaluation
  }

  /**
   * A revision whose id determines the image.
   * @throws what the evaluation throws; Failure overloaded
   */
  async pin(name: ImageName, revision: Revision): Promise<Pinned> {
    if (revision.liveFolder === undefined) return { revision }
    const key = JSON.stringify([name.packages, name.platform.system])
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    const running = this.#running.get(key)
    if (running === undefined) return this.#start(key, name, revision)
    if (performance.now() - running.startedAt < freshness) return running.outcome
    const next =
      this.#next.get(key) ??
      running.outcome
        .catch(() => {})
        .then(() => {
          this.#next.delete(key)
          return this.#start(key, name, revision)
        })
    this.#next.set(key, next)
    return next
  }

  async #start(key: string, name: ImageName, revision: Revision): Promise<Pinned> {
    if (this.#running.size >= mostImages) {
      throw new Failure('overloaded', `${mostImages} images are being evaluated: try again later`, {
        retryAfter: 10,
      })
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

  async #evaluate(name: ImageName, revision: Revision): Promise<Pinned> {
    const packages = await this.#evaluation.packages(name, revision)
    const id = createHash('sha256').update(JSON.stringify(packages)).digest('hex')
    return { revision: { ...revision, id }, packages }
  }
}
