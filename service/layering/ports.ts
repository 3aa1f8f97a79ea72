/** What the layering room offers to other rooms. */
import type { Closure, StorePath } from '../closure/closure.ts'
import type { ServedImage } from './layer-knowledge.ts'
import type { Popularity } from './popularity.ts'

/** Cuts closures into layers. */
export interface LayerPlanner {
  /**
   * Returns the closure's store paths by layer: as it was cut before, else by what is known now.
   * @throws Failure unavailable
   */
  plan(closure: Closure): Promise<StorePath[][]>
  /** Learns of an image, together with the others that are built about now. */
  note(image: ServedImage): void
}

/** Learning from a whole release before any of its images is planned. */
export interface ReleaseLearning {
  /** Returns whether nothing is known of any image. @throws Failure unavailable */
  isNew(): Promise<boolean>
  /** Learns of images at once. Never fails: what is not learned costs bytes, and no image. */
  learn(images: readonly ServedImage[]): Promise<void>
}

/** Where popularity comes from. */
export interface PopularitySource {
  /** Returns what is known now. */
  current(): Popularity
}
