/** Groups of store paths. The planner merges them until each group is one layer. */
import { type ChangeRisk, type DependencySet, unionOf } from './change-risk.ts'

export interface PathGroup {
  /** Nodes of the closure graph. */
  readonly nodes: readonly number[]
  /** Bytes (NAR). */
  readonly size: number
  /** A change of any of these paths changes the group. */
  readonly dependencies: DependencySet
  /** The probability that a release changes the group. */
  readonly risk: number
  /**
   * Bytes that clients of other images are expected to download again, once, if the group is merged into a
   * group that only this image has.
   */
  readonly sharedBytes: number
  /** Number of images that have every path of the group. */
  readonly imageCount: number
}

/**
 * Returns the union of two groups.
 * @param sameImages every image that has one of the groups has both, and merges them as well
 */
export function mergedGroup(
  a: PathGroup,
  b: PathGroup,
  changeRisk: ChangeRisk,
  sameImages: boolean,
): PathGroup {
  const dependencies = unionOf([a.dependencies, b.dependencies])
  return {
    nodes: a.nodes.concat(b.nodes),
    size: a.size + b.size,
    dependencies,
    risk: changeRisk.of(dependencies),
    sharedBytes: sameImages ? a.sharedBytes + b.sharedBytes : 0,
    imageCount: sameImages ? a.imageCount : 1,
  }
}

/** Compares groups by their first node, for `sort`. */
export function byFirstNode(a: PathGroup, b: PathGroup): number {
  return (a.nodes[0] as number) - (b.nodes[0] as number)
}
