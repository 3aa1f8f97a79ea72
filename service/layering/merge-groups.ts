/**
 * Makes few groups of store paths of many, losing as few bytes as can be. What a merge of two groups is
 * expected to lose with each release:
 *
 *     bytes of the one × (chance that either changes − chance that it changes itself)
 *     + the same for the other
 *     + the stakes of both: what is lost when other images cannot share them any more
 *
 * The cheapest merge of all pairs goes first. Pairs are many, so a large number of groups is written in one
 * row first, by chance of change, and only neighbours are merged until few enough are left:
 *
 *     chance     .01   .02   .02   .31   .80         .01   .02   .31   .80
 *     groups      a     b     c     d     e    ──>    a    b c    d     e    ──> pairs: a with d, a with e, …
 *     loss           9     1     5     7                 9     6     7
 *
 * Each round merges neighbours of the cheapest third of the row, a sixth of it at least: O(n log n) for
 * n groups.
 */
import { type Below, type ChangeRisk, unionOf } from './change-risk.ts'

export interface Group {
  readonly nodes: readonly number[]
  /** Bytes. */
  readonly size: number
  /** All that a change of would change the group. */
  readonly below: Below
  /** The chance that a release changes the group. */
  readonly risk: number
  /** Bytes that are expected to be lost, once, when the group is merged into one that only this image has. */
  readonly stake: number
  /** How many images have it. */
  readonly images: number
}

export interface Merging {
  readonly risk: ChangeRisk
  /** Bytes: a merge that loses less is made. */
  readonly price: number
  /** Groups: while there are more, the cheapest merge is made whatever it loses. */
  readonly most: number
  /** Every image that has one of the groups has all, and merges them alike: they stay as shared as they were. */
  readonly alike: boolean
}

/** Groups of which all pairs are looked at: more than most closures have paths. */
const mostInPairs = 400

/** The groups that are left, each node in one of them as before. The order of `groups` decides ties. */
export function mergeGroups(groups: readonly Group[], merging: Merging): Group[] {
  const few = Number.isFinite(merging.most) ? Math.max(mostInPairs, merging.most) : mostInPairs
  const row = groups.length > few ? mergeNeighbours(groups, merging, few) : groups
  return row.length <= few ? mergePairs(row, merging) : [...row]
}

/** What a merge loses, in bytes. */
function loss(a: Group, b: Group, { risk, alike }: Merging): number {
  const either = risk.ofEither(a.below, b.below)
  // Whole bytes: what differs only by how the computer rounds is left to the order of the groups.
  return Math.round(
    a.size * (either - a.risk) + b.size * (either - b.risk) + (alike ? 0 : a.stake + b.stake),
  )
}

/** Not more than the loss, and quick to tell: the merged group changes at least as often as either. */
function leastLoss(a: Group, b: Group, { alike }: Merging): number {
  const difference = a.risk - b.risk
  return (
    (difference > 0 ? b.size * difference : -a.size * difference) + (alike ? 0 : a.stake + b.stake)
  )
}

function merge(a: Group, b: Group, { risk, alike }: Merging): Group {
  const below = unionOf([a.below, b.below])
  return {
    nodes: a.nodes.concat(b.nodes),
    size: a.size + b.size,
    below,
    risk: risk.of(below),
    stake: alike ? a.stake + b.stake : 0,
    images: alike ? a.images : 1,
  }
}

/** Until few are left, or nothing is worth merging. */
function mergeNeighbours(groups: readonly Group[], merging: Merging, few: number): Group[] {
  let row = groups.toSorted((a, b) => a.risk - b.risk || a.size - b.size)
  let losses = lossesIn(row, merging)
  while (row.length > few) {
    const limit = cheapThird(losses)
    const next: Group[] = []
    /** Losses in the next row that are known already; NaN where a group is new. */
    const kept: number[] = []
    let left = row.length
    for (let place = 0; place < row.length; place++) {
      const group = row[place] as Group
      const lost = losses[place] ?? Infinity
      if (lost <= limit && left > few && (lost < merging.price || left > merging.most)) {
        place++
        left--
        if (next.length > 0) kept[next.length - 1] = Number.NaN
        kept.push(Number.NaN)
        next.push(merge(group, row[place] as Group, merging))
      } else {
        kept.push(lost)
        next.push(group)
      }
    }
    if (left === row.length) break
    row = next
    losses = lossesIn(row, merging, kept)
  }
  return row
}

/** What each group of a row and the next would lose. */
function lossesIn(
  row: readonly Group[],
  merging: Merging,
  known: readonly number[] = [],
): Float64Array {
  const losses = new Float64Array(Math.max(0, row.length - 1))
  for (let place = 0; place < losses.length; place++) {
    const lost = known[place] ?? Number.NaN
    losses[place] = Number.isNaN(lost)
      ? loss(row[place] as Group, row[place + 1] as Group, merging)
      : lost
  }
  return losses
}

/** Those that are dearer now may have cheaper neighbours after the others' merges. */
function cheapThird(losses: Float64Array): number {
  return losses.toSorted()[Math.floor(losses.length / 3)] as number
}

/** A group, and the cheapest merge of it with one further on in the list. */
interface Candidate {
  readonly group: Group
  /** Place of the other; `unknown` if it has gone. */
  partner: number
  /** Of that merge; if the partner is not known, none is cheaper. */
  loss: number
}

const unknown = -1

/** Until no more than `most` are left and nothing is worth merging. */
function mergePairs(groups: readonly Group[], merging: Merging): Group[] {
  const candidates = groups.map((group): Candidate | undefined => {
    return { group, partner: unknown, loss: -Infinity }
  })
  const consider = (candidate: Candidate, place: number) => {
    const other = candidates[place]?.group
    if (other === undefined || leastLoss(candidate.group, other, merging) >= candidate.loss) return
    const lost = loss(candidate.group, other, merging)
    if (lost >= candidate.loss) return
    candidate.loss = lost
    candidate.partner = place
  }
  for (let left = groups.length; left > 1; ) {
    const place = cheapestOf(candidates)
    const candidate = candidates[place] as Candidate
    const { group, partner } = candidate
    if (candidate.loss >= merging.price && left <= merging.most) break
    if (partner === unknown) {
      candidate.loss = Infinity
      for (let other = place + 1; other < candidates.length; other++) consider(candidate, other)
      // With nobody further on it waits for those before it.
      if (candidate.partner === unknown) candidate.partner = place
      continue
    }
    const merged = merge(group, (candidates[partner] as Candidate).group, merging)
    candidates[place] = undefined
    candidates[partner] = { group: merged, partner: unknown, loss: -Infinity }
    left--
    for (let index = 0; index < partner; index++) {
      const other = candidates[index]
      if (other === undefined) continue
      if (other.partner === place || other.partner === partner) other.partner = unknown
      consider(other, partner)
    }
  }
  return candidates.flatMap((candidate) => (candidate === undefined ? [] : [candidate.group]))
}

function cheapestOf(candidates: readonly (Candidate | undefined)[]): number {
  let cheapest = -1
  let least = Infinity
  for (let place = 0; place < candidates.length; place++) {
    const candidate = candidates[place]
    if (candidate === undefined || (cheapest !== -1 && candidate.loss >= least)) continue
    least = candidate.loss
    cheapest = place
  }
  return cheapest
}
