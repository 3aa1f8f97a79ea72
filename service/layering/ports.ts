/** Interfaces that the layering room offers to other rooms, and the popularity that it needs. */
import type { Closure, StorePath } from '../closure/closure.ts'
import type { ServedImage } from './layer-knowledge.ts'
import type { Popularity } from './popularity.ts'

/** Cuts closures into layers. */
export interface LayerPlanner {
  /**
   * Returns the closure's store paths by layer: from its plan record, else from a new plan, which is recorded.
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
