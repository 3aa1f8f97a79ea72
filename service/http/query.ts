/** Query parameters. If a client repeats a parameter, its first value counts. */
import { Failure } from '../image/errors.ts'

type QueryValue = string | string[] | undefined

export function singleValue(value: QueryValue): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/**
 * Reads `n`, the most entries in the answer; undefined if the client does not send it.
 * @throws Failure paging-invalid
 */
export function parseCount(n: QueryValue): number | undefined {
  const text = singleValue(n)
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw new Failure('paging-invalid', `n="${text}" is not a number of entries: 0 or more`, {
    detail: { n: text },
  })
}
