/** Popularity: how many packages of a large package set refer to a package. */

import { createHash } from 'node:crypto'
import { compareCodeUnits } from '../text/order.ts'

export interface Popularity {
  /** Number of referring packages, by package name with or without version. */
  readonly counts: ReadonlyMap<string, number>
  /** `none`, or a hash of the counts, independent of their order in the document. */
  readonly version: string
}

/** No popularity: the planner counts referrers in the closure only. */
export const noPopularity: Popularity = { counts: new Map(), version: 'none' }

/** @param entries package name and count, each name once, in any order */
export function popularityOf(entries: Iterable<readonly [string, number]>): Popularity {
  const sorted = [...entries].sort(([a], [b]) => compareCodeUnits(a, b))
  if (sorted.length === 0) return noPopularity
  const version = createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
  return { counts: new Map(sorted), version }
}

/** Returns whether popularity may be fetched from the URL: `https:`, `file:`, or `http:` to this machine. */
export function isPopularityUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  if (protocol === 'http:') return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
  return protocol === 'https:' ? hostname !== '' : protocol === 'file:' && hostname === ''
}
