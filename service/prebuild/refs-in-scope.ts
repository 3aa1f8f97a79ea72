/** Decides which refs are prebuilt, by the settings and the dates of the refs. */

import { isTagRef, shortRefName } from '../image/ref-name.ts'
import type { Refs } from '../source/ports.ts'
import { compareCodeUnits } from '../text/order.ts'
import type { PrebuildScope } from './ports.ts'

export interface RefInScope {
  /** Full name: `refs/tags/v1`. */
  readonly ref: string
  readonly commit: string
  /**
   * `pushed`: the ref is new or has moved since the previous ref table, whatever the date of its commit.
   * `found`: the ref did not move, or this is the first table since the start.
   */
  readonly cause: 'pushed' | 'found'
}

export interface ScopeOptions {
  readonly table: Refs
  /** The last ref table that was reconciled; absent at start-up. */
  readonly previous?: Refs | undefined
  /**
   * By full ref name: date of the tag, or of the commit for branches and lightweight tags, in milliseconds
   * since 1970. A ref without a date counts as older than all others.
   */
  readonly dates: ReadonlyMap<string, number>
  readonly scope: PrebuildScope
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * Returns the refs that the settings include: tags before branches, newest first, then by name. A ref that
 * was not pushed is left out if it is older than the settings allow. The default branch is included at any
 * age, because `latest` means it.
 */
export function refsInScope(options: ScopeOptions): readonly RefInScope[] {
  const { table, previous, dates, scope, now } = options
  const oldest = now - scope.maxAge
  const dateOf = (ref: string): number => dates.get(ref) ?? Number.NEGATIVE_INFINITY
  const found: RefInScope[] = []
  for (const [ref, commit] of table.refs) {
    if (!isInScope(ref, table, scope)) continue
    if (previous && (previous.refs.get(ref) !== commit || !isInScope(ref, previous, scope))) {
      found.push({ ref, commit, cause: 'pushed' })
    } else if (dateOf(ref) >= oldest || ref === table.defaultBranch) {
      found.push({ ref, commit, cause: 'found' })
    }
  }
  return found.sort(
    (a, b) =>
      Number(isTagRef(b.ref)) - Number(isTagRef(a.ref)) ||
      // For two refs without a date this is NaN. Like 0, it lets `||` continue with the names.
      dateOf(b.ref) - dateOf(a.ref) ||
      compareCodeUnits(a.ref, b.ref),
  )
}

/** Returns whether the settings include the ref. */
function isInScope(ref: string, { defaultBranch }: Refs, scope: PrebuildScope): boolean {
  if (isTagRef(ref)) return scope.tags.matches(shortRefName(ref))
  return scope.branches ? scope.branches.matches(shortRefName(ref)) : ref === defaultBranch
}
