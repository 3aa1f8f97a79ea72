/**
 * Serving a blob: whole, in part, or by redirect.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
 */

import type { Context } from 'koa'
import type { Digest } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import type { BlobReader, ByteRange, ServedImages } from '../../storage/ports.ts'
import { prepare } from '../prepared-answers.ts'
import { sendExactly, type Take } from './send-exactly.ts'

/** The bytes behind a digest never change. */
export const immutable = 'public, max-age=31536000, immutable'

/** Bytes up to which a blob is kept in memory when it was asked for: configs, and layers of links. */
const smallBlob = 1024 * 1024

/** @throws Failure blob-unknown, unavailable */
export async function serveBlob(
  ctx: Context,
  digest: Digest,
  blobs: BlobReader,
  images: ServedImages,
  onBytes: (count: number) => void,
): Promise<void> {
  const found = await blobs.stat(digest)
  const expected = images.sizeOf(digest) ?? found?.size
  // A blob that was cut short is as good as lost: the next pull packs it again.
  if (found === undefined || found.size !== expected) throw lost(digest, images)
  ctx.status = 200
  ctx.set({
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    'Cache-Control': immutable,
    'Accept-Ranges': 'bytes',
    'Content-Type': 'application/octet-stream',
  })
  if (ctx.fresh) {
    ctx.status = 304
    return
  }
  if (ctx.method === 'HEAD') {
    ctx.length = found.size
    return
  }
  const url = await blobs.url(digest)
  if (url !== undefined) {
    // The URL may be signed, and good for minutes only.
    ctx.set('Cache-Control', 'no-store')
    ctx.redirect(url.href)
    ctx.status = 307
    return
  }
  const range = requestedRange(ctx, digest, found.size)
  if (range === undefined && found.size <= smallBlob) {
    const bytes = await blobs.whole(digest)
    if (bytes === undefined) throw lost(digest, images)
    ctx.body = bytes
    onBytes(bytes.length)
    // Its digest was verified, and what has it never changes.
    prepare(ctx, { isTrue: () => true, onServed: (_address, count) => onBytes(count) })
    return
  }
  if (range === 'unsatisfiable') {
    ctx.set('Content-Range', `bytes */${found.size}`)
    const range = ctx.get('Range')
    throw new Failure(
      'range-invalid',
      `"${range}" asks for no byte of the ${found.size} there are`,
      {
        detail: { range, size: found.size },
      },
    )
  }
  const length = range === undefined ? found.size : range.end - range.start + 1
  ctx.length = length
  if (range !== undefined) {
    ctx.status = 206
    ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${found.size}`)
  }
  const answer = (take: Take) => blobs.send(digest, range, take)
  if (!(await sendExactly(ctx, length, answer, onBytes))) throw lost(digest, images)
}

function lost(digest: Digest, images: ServedImages): Failure {
  images.forgetBlob(digest)
  return new Failure('blob-unknown', `no blob ${digest} is stored`, { detail: { digest } })
}

/**
 * One range is honoured; several at once, or one in another unit, are answered with the whole. A suffix
 * longer than the blob means the whole.
 */
function requestedRange(
  ctx: Context,
  digest: Digest,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const condition = ctx.get('If-Range')
  if (condition !== '' && condition !== `"${digest}"`) return undefined
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/i.exec(ctx.get('Range')) ?? []
  if (first === '' && last === '') return undefined
  // A range that ends before it begins is no range (RFC 9110, 14.1.1): as if nothing had been said.
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start <= end ? { start, end } : 'unsatisfiable'
}
