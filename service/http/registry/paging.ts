/**
 * Pages of sorted lists.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
import type { Context } from 'koa'
import { Failure } from '../../image/errors.ts'

/** Entries of a page when the client does not say; a list this long is rare and still small. */
const defaultPage = 10_000

/**
 * The page that `n` and `last` ask for; sets `Link` when there is more.
 * @param sorted in byte order
 * @throws Failure paging-invalid
 */
export function page(ctx: Context, sorted: readonly string[]): string[] {
  const limit = pageSize(ctx.query.n)
  const last = single(ctx.query.last)
  const start = last === undefined ? 0 : firstAfter(sorted, last)
  const entries = sorted.slice(start, start + limit)
  const end = entries.at(-1)
  if (end !== undefined && start + limit < sorted.length) {
    const query = new URLSearchParams({ last: end, n: String(limit) })
    ctx.set('Link', `<${ctx.path}?${query}>; rel="next"`)
  }
  return entries
}

function pageSize(n: string | string[] | undefined): number {
  const text = single(n)
  if (text === undefined) return defaultPage
  if (/^\d+$/.test(text)) return Number(text)
  throw new Failure('paging-invalid', `n="${text}" is not a number of entries: 0 or more`, {
    detail: { n: text },
  })
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
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
