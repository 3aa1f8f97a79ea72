/**
 * Cuts closures into layers by the recorded plan or a new one, and learns from the images that were built.
 *
 *     closure ──► plan record? ──yes──► recorded plan
 *                      │ no
 *                      ▼
 *               planLayers ◄── knowledge ◄── built images, learned together as one release
 */

import type { Closure, StorePath } from '../closure/closure.ts'
import { messageOf } from '../image/errors.ts'
import { planKey, type Recipe } from '../image/keys.ts'
import type { RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { type KnowledgeDocument, LayerKnowledge, type ServedImage } from './layer-knowledge.ts'
import { planLayers } from './plan-layers.ts'
import type { LayerPlanner, PopularitySource, ReleaseLearning } from './ports.ts'
import type { PlanRecord } from './records.ts'

/** Milliseconds without a new image after which the built images are learned as one release. */
const defaultPause = 3000
/** Number of built images that are learned without waiting for a pause. */
const maxBuilt = 100
/** Milliseconds after the first built image. The next image after that time ends the release without a pause. */
const maxWait = 30_000
/** Key of the knowledge document, which all instances share. */
const knowledgeKey = 'current'

export interface PlanClosureOptions {
  readonly plans: RecordStore<PlanRecord>
  readonly knowledge: RecordStore<KnowledgeDocument>
  readonly popularity: PopularitySource
  readonly recipe: Recipe
  readonly log: Log
  /** Milliseconds without a new image before the built images are learned. @default 3,000 */
  readonly pause?: number
}

export class PlanClosure implements LayerPlanner, ReleaseLearning {
  readonly #options: PlanClosureOptions
  #knowledge: Promise<LayerKnowledge> | undefined
  /** Images that are built but not learned yet, by name. */
  readonly #built = new Map<string, ServedImage>()
  /** Time when the first image in `#built` was built, on the clock of `performance.now()`. */
  #firstBuiltAt = 0
  #timer: NodeJS.Timeout | undefined
  #learning: Promise<void> = Promise.resolve()

  constructor(options: PlanClosureOptions) {
    this.#options = options
  }

  async isNew(): Promise<boolean> {
    return (await this.#currentKnowledge()).isEmpty
  }

  async plan(closure: Closure): Promise<StorePath[][]> {
    const { plans, popularity, recipe } = this.#options
    const key = planKey(
      closure.map(({ path }) => path),
      recipe,
    )
    const recorded = await plans.get(key)
    if (recorded !== undefined) return recorded.layers
    const knowledge = await this.#currentKnowledge()
    const { counts, version } = popularity.current()
    // The link farm is a layer, too.
    const options = { budget: recipe.layerBudget - 1, popularity: counts, knowledge }
    const layers = planLayers(closure, options).map((layer) => [...layer])
    const used = [knowledge.version, version].filter((known) => known !== 'none')
    const record = { knowledge: used.join(' ') || 'none', layers }
    return (await plans.settle(key, record)).layers
  }

  learn(images: readonly ServedImage[]): Promise<void> {
    this.#learning = this.#learning.then(() => this.#learn(images))
    return this.#learning
  }

  note(image: ServedImage): void {
    if (this.#built.size === 0) this.#firstBuiltAt = performance.now()
    this.#built.set(image.name, image)
    clearTimeout(this.#timer)
    const isOverdue = performance.now() - this.#firstBuiltAt > maxWait
    if (isOverdue || this.#built.size === maxBuilt) return void this.flush()
    this.#timer = setTimeout(() => this.flush(), this.#options.pause ?? defaultPause).unref()
  }

  /** Learns from all noted images now. Never fails. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    const images = [...this.#built.values()]
    this.#built.clear()
    if (images.length > 0) await this.learn(images)
  }

  /**
   * Returns the knowledge in memory, and reads it first if needed. When this instance learns, it reads what other
   * instances have learned.
   * @throws Failure unavailable. A plan is kept for good, so none is made while the knowledge cannot be read.
   */
  #currentKnowledge(): Promise<LayerKnowledge> {
    this.#knowledge ??= this.#options.knowledge
      .get(knowledgeKey)
      .then(knowledgeOf)
      .catch((error) => {
        this.#knowledge = undefined
        throw error
      })
    return this.#knowledge
  }

  async #learn(images: readonly ServedImage[]): Promise<void> {
    const { knowledge, log } = this.#options
    try {
      const after = knowledgeOf(await knowledge.fresh(knowledgeKey)).learn(images)
      this.#knowledge = Promise.resolve(after)
      await knowledge.replace(knowledgeKey, after.document)
      log.debug({ images: images.length, version: after.version }, 'planner knowledge updated')
    } catch (error) {
      log.warn({ failure: messageOf(error) }, 'planner knowledge could not be updated')
    }
  }
}

function knowledgeOf(document: KnowledgeDocument | undefined): LayerKnowledge {
  return document === undefined ? LayerKnowledge.none : new LayerKnowledge(document)
}
