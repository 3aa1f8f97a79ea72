/** The order of layers in an image: step 4 of planning (see plan-layers.ts). */
import { byFirstNode, type PathGroup } from './path-group.ts'

/**
 * Sorts layers by expected reuse, the largest first. Layers that were reused from one earlier plan keep their
 * order, so that no image is reordered only because more images share its layers than before.
 * @param reusedPlans the reused layers, one list for each plan that they come from
 */
export function orderLayers(
  layers: readonly PathGroup[],
  reusedPlans: readonly (readonly PathGroup[])[],
): PathGroup[] {
  const isReused = new Set(reusedPlans.flat())
  const isLayer = new Set(layers)
  const newLayers = layers
    .filter((layer) => !isReused.has(layer))
    .sort((a, b) => expectedReuse(b) - expectedReuse(a) || byFirstNode(a, b))
  const lists = [
    ...reusedPlans.map((list) => list.filter((layer) => isLayer.has(layer))),
    newLayers,
  ]
  const ordered: PathGroup[] = []
  while (ordered.length < layers.length) {
    const heads = lists.flatMap(([head]) => (head === undefined ? [] : [head]))
    const best = heads.reduce((first, head) => {
      return expectedReuse(head) > expectedReuse(first) ? head : first
    })
    ordered.push(best)
    lists.find(([head]) => head === best)?.shift()
  }
  return ordered
}

/** Returns how many images are expected to have the layer after the next release. */
function expectedReuse({ imageCount, risk }: PathGroup): number {
  return imageCount * (1 - risk)
}
