/** @see https://www.rfc-editor.org/rfc/rfc9110#name-range-requests */
import type { Context } from 'koa'
import type { Digest } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import type { ByteRange } from '../../storage/ports.ts'

/**
 * Returns the requested range of a blob; undefined for the whole blob. Several ranges, and ranges in another
 * unit, are ignored. A suffix that is longer than the blob means the whole blob.
 * @param size bytes of the blob
 * @throws Failure range-invalid for a range that begins after the end, and sets `Content-Range`
 */
export function requestedRange(ctx: Context, digest: Digest, size: number): ByteRange | undefined {
  const condition = ctx.get('If-Range')
  if (condition !== '' && condition !== `"${digest}"`) return undefined
  const range = ctx.get('Range')
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/i.exec(range) ?? []
  if (first === '' && last === '') return undefined
  // A range that ends before it begins is invalid, and is ignored (RFC 9110, 14.1.1).
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (start <= end) return { start, end }
  ctx.set('Content-Range', `bytes */${size}`)
  throw new Failure(
    'range-invalid',
    `"${range}" contains no byte of the blob, which has ${size} bytes`,
    {
      detail: { range, size },
    },
  )
}
