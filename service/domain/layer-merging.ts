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
 *     chance     .01   .02   .02   .31   .95        .01   .02       .31   .95
 *     groups      a     b     c     d     e    ──>   a     b c       d     e   ──> pairs: a d, a e, …
 *
 * Each round halves the row at most and sorts it once: O(n log n) for n groups.
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
  readonly users: number
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
  const row = mergeNeighbours(groups, merging, few)
  return row.length <= few ? mergePairs(row, merging) : row
}

/** What a merge loses, in bytes. */
function loss(a: Group, b: Group, { risk, alike }: Merging): number {
  const either = risk.ofEither(a.below, b.below)
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
    users: alike ? a.users : 1,
  }
}

function mergeNeighbours(groups: readonly Group[], merging: Merging, few: number): Group[] {
  if (groups.length <= few) return [...groups]
  let row = [...groups].sort((a, b) => a.risk - b.risk || a.size - b.size)
  while (row.length > few) {
    const places = cheapest(row, merging)
    const isMerged = new Uint8Array(row.length)
    let left = row.length
    for (const place of places) {
      if (left <= few) break
      if (isMerged[place] || isMerged[place + 1]) continue
      const [group, next] = [row[place] as Group, row[place + 1] as Group]
      if (left <= merging.most && loss(group, next, merging) >= merging.price) continue
      isMerged[place] = isMerged[place + 1] = 1
      row[place] = merge(group, next, merging)
      left--
    }
    if (left === row.length) break
    // Of two that were merged the second goes; after one of them the next that is marked is a first one.
    let isSecond = false
    row = row.filter((_, place) => {
      const goes = isSecond && isMerged[place] === 1
      isSecond = isMerged[place] === 1 && !goes
      return !goes
    })
  }
  return row
}

/**
 * The places of that half of all neighbours that is the cheapest to merge, cheapest first. Those that
 * are dear now may have cheaper neighbours after the others' merges.
 */
function cheapest(row: readonly Group[], merging: Merging): Uint32Array {
  const losses = new Float64Array(row.length - 1)
  for (let place = 0; place < losses.length; place++) {
    losses[place] = loss(row[place] as Group, row[place + 1] as Group, merging)
  }
  const order = new Uint32Array(losses.length).map((_, place) => place)
  order.sort((a, b) => (losses[a] as number) - (losses[b] as number) || a - b)
  return order.subarray(0, Math.ceil(order.length / 2))
}

/** Each row holds a group, and the cheapest merge with a group of a later row. */
interface Row {
  group: Group
  partner: number
  loss: number
}

function mergePairs(groups: readonly Group[], merging: Merging): Group[] {
  const rows: (Row | undefined)[] = groups.map((group) => ({ group, partner: -1, loss: Infinity }))
  const findPartner = (place: number) => {
    const row = rows[place] as Row
    row.partner = -1
    row.loss = Infinity
    for (let other = place + 1; other < rows.length; other++) consider(row, other)
  }
  const consider = (row: Row, other: number) => {
    const group = rows[other]?.group
    if (group === undefined || leastLoss(row.group, group, merging) - 1 >= row.loss) return
    const lost = loss(row.group, group, merging)
    if (lost >= row.loss) return
    row.loss = lost
    row.partner = other
  }
  for (const place of rows.keys()) findPartner(place)
  for (let left = rows.length; left > 1; left--) {
    let place = -1
    let cheapest = Infinity
    for (const [index, row] of rows.entries()) {
      if (row !== undefined && row.loss < cheapest) {
        cheapest = row.loss
        place = index
      }
    }
    if (cheapest >= merging.price && left <= merging.most) break
    const { group, partner } = rows[place] as Row
    rows[partner] = {
      group: merge(group, (rows[partner] as Row).group, merging),
      partner: -1,
      loss: Infinity,
    }
    rows[place] = undefined
    findPartner(partner)
    for (let index = 0; index < partner; index++) {
      const row = rows[index]
      if (row === undefined) continue
      if (row.partner === place || row.partner === partner) {
        // The others cost as much as the lost partner or more: only a cheaper one needs no second look.
        const before = row.loss
        row.loss = Infinity
        row.partner = -1
        consider(row, partner)
        if (row.loss > before) findPartner(index)
      } else {
        consider(row, partner)
      }
    }
  }
  return rows.flatMap((row) => (row === undefined ? [] : [row.group]))
}
