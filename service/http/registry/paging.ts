/**
 * Pages of sorted lists.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
import type { Context } from 'koa'
import { parseCount, singleValue } from '../query.ts'

/** Entries of a page if the client sends no `n`. Longer lists are rare. */
const defaultPageSize = 10_000

export interface Page {
  /** Most entries in the page. */
  readonly size: number
  /** The entry after which the page begins; absent for the first page. */
  readonly last: string | undefined
}

/**
 * Reads `n` and `last` from the query.
 * @throws Failure paging-invalid
 */
export function parsePage({ query }: Context): Page {
  return { size: parseCount(query.n) ?? defaultPageSize, last: singleValue(query.last) }
}

/**
 * Returns the entries of a page, and sets `Link` if there is another page after it.
 * @param sorted in byte order
 */
export function entriesOf(
  { size, last }: Page,
  sorted: readonly string[],
  ctx: Context,
): readonly string[] {
  const start = last === undefined ? 0 : firstAfter(sorted, last)
  const entries = sorted.slice(start, start + size)
  const end = entries.at(-1)
  if (end !== undefined && start + size < sorted.length) {
    const query = new URLSearchParams({ last: end, n: String(size) })
    ctx.set('Link', `<${ctx.path}?${query}>; rel="next"`)
  }
  return entries
}

/** Index of the first entry after `last`, by bisection. */
function firstAfter(sorted: readonly string[], last: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') <= last) low = middle + 1
    else high = middle
  }
  return low
}
