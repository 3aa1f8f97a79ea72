/**
 * Cutting closures into layers, by all that the registry knows of the images that it serves, and learning
 * from those that were built.
 *
 *     closure ──► plan record? ──yes──► as it was cut before
 *                      │ no
 *                      ▼
 *               planner ◄── knowledge ◄── images that were built, together when the last of them is done
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

/** Milliseconds without another image after which those that were built are learned, as one release. */
const defaultPause = 3000
/** Images, and milliseconds, after which those that were built are learned all the same. */
const largestRelease = 100
const longestRelease = 30_000
/** Of the one document that all instances share. */
const current = 'current'

export interface PlanClosureOptions {
  readonly plans: RecordStore<PlanRecord>
  readonly knowledge: RecordStore<KnowledgeDocument>
  readonly popularity: PopularitySource
  readonly recipe: Recipe
  readonly log: Log
  /** Milliseconds. @default 3,000 */
  readonly pause?: number
}

export class PlanClosure implements LayerPlanner, ReleaseLearning {
  readonly #options: PlanClosureOptions
  #knowledge: Promise<LayerKnowledge> | undefined
  /** Built and not learned yet, by name. */
  readonly #built = new Map<string, ServedImage>()
  #since = 0
  #timer: NodeJS.Timeout | undefined
  #learning: Promise<void> = Promise.resolve()

  constructor(options: PlanClosureOptions) {
    this.#options = options
  }

  /** Whether nothing is known of any image: then those that are built together are best learned before. */
  async isNew(): Promise<boolean> {
    return (await this.#known()).isEmpty
  }

  /**
   * The closure's store paths by layer: as it was cut before, else by what is known now.
   * @throws Failure unavailable
   */
  async plan(closure: Closure): Promise<StorePath[][]> {
    const { plans, popularity, recipe } = this.#options
    const key = planKey(
      closure.map(({ path }) => path),
      recipe,
    )
    const before = await plans.get(key)
    if (before !== undefined) return before.layers
    const knowledge = await this.#known()
    const { counts, version } = popularity.current()
    // One layer is the link farm's.
    const options = { budget: recipe.layerBudget - 1, popularity: counts, knowledge }
    const layers = planLayers(closure, options).map((layer) => [...layer])
    const used = [knowledge.version, version].filter((known) => known !== 'none')
    const record = { knowledge: used.join(' ') || 'none', layers }
    return (await plans.settle(key, record)).layers
  }

  /** Learns of images at once. Never fails: what is not learned costs bytes, and no image. */
  learn(images: readonly ServedImage[]): Promise<void> {
    this.#learning = this.#learning.then(() => this.#learn(images))
    return this.#learning
  }

  /** Learns of an image with the others that are built about now. */
  note(image: ServedImage): void {
    if (this.#built.size === 0) this.#since = performance.now()
    this.#built.set(image.name, image)
    clearTimeout(this.#timer)
    const isLong = performance.now() - this.#since > longestRelease
    if (isLong || this.#built.size === largestRelease) return void this.flush()
    this.#timer = setTimeout(() => this.flush(), this.#options.pause ?? defaultPause).unref()
  }

  /** Learns what was noted. Never fails. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    const images = [...this.#built.values()]
    this.#built.clear()
    if (images.length > 0) await this.learn(images)
  }

  /**
   * Read once: what another instance learns afterwards is taken up when this one learns.
   * @throws Failure unavailable: a plan holds for good, so none is made for lack of what is known
   */
  #known(): Promise<LayerKnowledge> {
    this.#knowledge ??= this.#read().catch((error) => {
      this.#knowledge = undefined
      throw error
    })
    return this.#knowledge
  }

  async #read(): Promise<LayerKnowledge> {
    const document = await this.#options.knowledge.get(current)
    return document === undefined ? LayerKnowledge.none : new LayerKnowledge(document)
  }

  async #learn(images: readonly ServedImage[]): Promise<void> {
    const { knowledge, log } = this.#options
    try {
      const document = await knowledge.fresh(current)
      const before = document === undefined ? LayerKnowledge.none : new LayerKnowledge(document)
      const after = before.learn(images)
      this.#knowledge = Promise.resolve(after)
      await knowledge.replace(current, after.document)
      log.debug({ images: images.length, version: after.version }, 'layers learned')
    } catch (error) {
      log.warn({ failure: messageOf(error) }, 'layers could not be learned')
    }
  }
}
