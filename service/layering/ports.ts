/** Interfaces of the layering room: those that other rooms use, and the source of the popularity. */
import type { Closure, StorePath } from '../closure/closure.ts'
import type { ServedImage } from './layer-knowledge.ts'
import type { Popularity } from './popularity.ts'

/** Cuts closures into layers. */
export interface LayerPlanner {
  /**
   * Returns the closure's store paths by layer, from the plan record. If there is none, makes and records a plan.
   * @throws Failure unavailable
   */
  plan(closure: Closure): Promise<StorePath[][]>
  /** Queues a built image for learning, together with other images that are built at about the same time. */
  note(image: ServedImage): void
}

/** Learns from a whole release before any of its images is planned. */
export interface ReleaseLearning {
  /** Returns whether the planner knows no image yet. @throws Failure unavailable */
  isNew(): Promise<boolean>
  /** Learns from images now. Never fails: without this knowledge images share fewer layers, but are built. */
  learn(images: readonly ServedImage[]): Promise<void>
}

/** Source of the current popularity. */
export interface PopularitySource {
  current(): Popularity
}
