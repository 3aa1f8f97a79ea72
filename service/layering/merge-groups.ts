/**
 * Merges groups of store paths until few are left, losing as few bytes as possible. Clients download a merged
 * group again when either part changes. The expected loss of a merge, in bytes for each release, is
 *
 *     bytes of a × (risk of a and b together − risk of a)
 *   + bytes of b × (risk of a and b together − risk of b)
 *   + shared bytes of a and b, unless all their images make the same merge
 *
 * The pair with the smallest loss is merged first. Many groups have too many pairs, so they are first sorted
 * by risk, and only neighbours are merged until few groups are left. Then all pairs are compared:
 *
 *     risk        .01   .02   .02   .31   .80         .01   .02   .31   .80
 *     group        a     b     c     d     e    ──>    a    b c    d     e    ──> pairs: a and d, a and e, …
 *     loss            9     1     5     7                 9     6     7
 *
 * Each round merges neighbours among the cheapest third of the losses, which removes at least a sixth of the
 * groups: O(n log n) for n groups.
 */
import type { ChangeRisk } from './change-risk.ts'
import { mergedGroup, type PathGroup } from './path-group.ts'

export interface MergeOptions {
  readonly changeRisk: ChangeRisk
  /** Bytes. Every merge that loses less is made. */
  readonly layerCost: number
  /** While there are more groups, the cheapest merge is made whatever it loses. */
  readonly maxGroups: number
  /** Every image that has one of the groups has all, and makes the same merges. So merged groups stay shared. */
  readonly sameImages: boolean
}

/** Most groups of which all pairs are compared. Most closures have fewer paths. */
const maxPairedGroups = 400

/** Returns the groups after all merges. Ties are decided by the order of `groups`. */
export function mergeGroups(groups: readonly PathGroup[], options: MergeOptions): PathGroup[] {
  const { maxGroups } = options
  const few = Number.isFinite(maxGroups) ? Math.max(maxPairedGroups, maxGroups) : maxPairedGroups
  const row = groups.length > few ? mergeNeighbours(groups, options, few) : groups
  return row.length <= few ? mergePairs(row, options) : [...row]
}

/** Returns the expected loss of a merge, in bytes. */
function lossOf(a: PathGroup, b: PathGroup, { changeRisk, sameImages }: MergeOptions): number {
  const together = changeRisk.ofUnion(a.dependencies, b.dependencies)
  // Rounded to bytes, so that the order of the groups decides a tie, and not a floating-point error.
  return Math.round(
    a.size * (together - a.risk) +
      b.size * (together - b.risk) +
      (sameImages ? 0 : a.sharedBytes + b.sharedBytes),
  )
}

/** Returns a fast lower bound of the loss: the merged group's risk is at least the larger of the two. */
function leastLossOf(a: PathGroup, b: PathGroup, { sameImages }: MergeOptions): number {
  const difference = a.risk - b.risk
  return (
    (difference > 0 ? b.size * difference : -a.size * difference) +
    (sameImages ? 0 : a.sharedBytes + b.sharedBytes)
  )
}

/** Merges neighbours in a row sorted by risk, until `few` groups are left or every merge loses too much. */
function mergeNeighbours(
  groups: readonly PathGroup[],
  options: MergeOptions,
  few: number,
): PathGroup[] {
  const { changeRisk, layerCost, maxGroups, sameImages } = options
  let row = groups.toSorted((a, b) => a.risk - b.risk || a.size - b.size)
  let losses = neighbourLosses(row, options)
  while (row.length > few) {
    const limit = cheapestThird(losses)
    const next: PathGroup[] = []
    /** Losses in the next row that stay the same; NaN beside a merged group. */
    const known: number[] = []
    let left = row.length
    for (let place = 0; place < row.length; place++) {
      const group = row[place] as PathGroup
      const loss = losses[place] ?? Infinity
      if (loss <= limit && left > few && (loss < layerCost || left > maxGroups)) {
        place++
        left--
        if (next.length > 0) known[next.length - 1] = Number.NaN
        known.push(Number.NaN)
        next.push(mergedGroup(group, row[place] as PathGroup, changeRisk, sameImages))
      } else {
        known.push(loss)
        next.push(group)
      }
    }
    if (left === row.length) break
    row = next
    losses = neighbourLosses(row, options, known)
  }
  return row
}

/** Returns the loss of merging each group of a row with the next. */
function neighbourLosses(
  row: readonly PathGroup[],
  options: MergeOptions,
  known: readonly number[] = [],
): Float64Array {
  const losses = new Float64Array(Math.max(0, row.length - 1))
  for (let place = 0; place < losses.length; place++) {
    const loss = known[place] ?? Number.NaN
    losses[place] = Number.isNaN(loss)
      ? lossOf(row[place] as PathGroup, row[place + 1] as PathGroup, options)
      : loss
  }
  return losses
}

/** Returns the largest loss of a merge in this round. Other pairs wait, because later merges may lose less. */
function cheapestThird(losses: Float64Array): number {
  return losses.toSorted()[Math.floor(losses.length / 3)] as number
}

/** A group, and its cheapest merge with a group in a later slot. */
interface Slot {
  readonly group: PathGroup
  /** Index of the other group's slot; `unknown` if it has to be searched again. */
  partner: number
  /** Loss of that merge. While the partner is unknown: a lower bound. */
  loss: number
}

const unknown = -1

/** Merges the cheapest pair repeatedly, until `maxGroups` are left and every merge loses at least `layerCost`. */
function mergePairs(groups: readonly PathGroup[], options: MergeOptions): PathGroup[] {
  const { changeRisk, layerCost, maxGroups, sameImages } = options
  const slots = groups.map((group): Slot | undefined => {
    return { group, partner: unknown, loss: -Infinity }
  })
  const consider = (slot: Slot, place: number) => {
    const other = slots[place]?.group
    if (other === undefined || leastLossOf(slot.group, other, options) >= slot.loss) return
    const loss = lossOf(slot.group, other, options)
    if (loss >= slot.loss) return
    slot.loss = loss
    slot.partner = place
  }
  for (let left = groups.length; left > 1; ) {
    const place = cheapestOf(slots)
    const slot = slots[place] as Slot
    const { group, partner } = slot
    if (slot.loss >= layerCost && left <= maxGroups) break
    if (partner === unknown) {
      slot.loss = Infinity
      for (let other = place + 1; other < slots.length; other++) consider(slot, other)
      // No later group is left. Its own index ends the search; only earlier slots can still choose this group.
      if (slot.partner === unknown) slot.partner = place
      continue
    }
    const merged = mergedGroup(group, (slots[partner] as Slot).group, changeRisk, sameImages)
    slots[place] = undefined
    slots[partner] = { group: merged, partner: unknown, loss: -Infinity }
    left--
    for (let index = 0; index < partner; index++) {
      const other = slots[index]
      if (other === undefined) continue
      if (other.partner === place || other.partner === partner) other.partner = unknown
      consider(other, partner)
    }
  }
  return slots.flatMap((slot) => (slot === undefined ? [] : [slot.group]))
}

function cheapestOf(slots: readonly (Slot | undefined)[]): number {
  let cheapest = -1
  let least = Infinity
  for (let place = 0; place < slots.length; place++) {
    const slot = slots[place]
    if (slot === undefined || (cheapest !== -1 && slot.loss >= least)) continue
    least = slot.loss
    cheapest = place
  }
  return cheapest
}
