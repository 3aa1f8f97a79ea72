/** How many packages of a large set refer to a package: what the planner knows beyond a closure. */

import { createHash } from 'node:crypto'
import { compareCodeUnits } from '../text/order.ts'

export interface Popularity {
  /** By package name, with version or without. */
  readonly counts: ReadonlyMap<string, number>
  /** `none`, or a hash of the counts: the same for the same counts, however they were written down. */
  readonly version: string
}

/** Where popularity comes from. */
export interface PopularitySource {
  /** What is known now. */
  current(): Popularity
}

/** Nothing is known: a path is as popular as its closure makes it. */
export const noPopularity: Popularity = { counts: new Map(), version: 'none' }

/** @param entries package name and count, each name once, in any order */
export function popularityOf(entries: Iterable<readonly [string, number]>): Popularity {
  const sorted = [...entries].sort(([a], [b]) => compareCodeUnits(a, b))
  if (sorted.length === 0) return noPopularity
  const version = createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
  return { counts: new Map(sorted), version }
}

/**
 * Whether popularity may be fetched from there: `https:` and `file:`, and `http:` from this machine only.
 */
export function isPopularityUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  if (protocol === 'http:') return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
  return protocol === 'https:' ? hostname !== '' : protocol === 'file:' && hostname === ''
}
