/**
 * A folder that may change under our hands has no revision of its own; what an image is evaluated to
 * has one. So the image is evaluated first, and the outcome stands for the revision.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { ImageName } from '../domain/image-name.ts'
import type { EvaluatedPackage } from '../domain/package.ts'
import type { Revision } from '../domain/source.ts'
import type { EvaluateImage } from './evaluate-image.ts'

/** Milliseconds that an evaluation is good for: the requests of one pull share it. */
const freshness = 1000
/** Images that are pulled within that time, at most. */
const mostImages = 1000

export interface Pinned {
  readonly revision: Revision
  /** What the evaluation found, where one was needed. */
  readonly packages?: readonly EvaluatedPackage[]
}

export class LiveRevisions {
  readonly #evaluation: EvaluateImage
  readonly #recent = new LRUCache<string, Promise<Pinned>>({ max: mostImages, ttl: freshness })

  constructor(evaluation: EvaluateImage) {
    this.#evaluation = evaluation
  }

  /**
   * A revision whose id determines the image.
   * @throws what the evaluation throws
   */
  async pin(name: ImageName, revision: Revision): Promise<Pinned> {
    if (revision.liveFolder === undefined) return { revision }
    const key = JSON.stringify([name.packages, name.platform.system])
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    const pinned = this.#evaluate(name, revision)
    this.#recent.set(key, pinned)
    return pinned
  }

  async #evaluate(name: ImageName, revision: Revision): Promise<Pinned> {
    const packages = await this.#evaluation.packages(name, revision)
    const id = createHash('sha256').update(JSON.stringify(packages)).digest('hex')
    return { revision: { ...revision, id }, packages }
  }
}
