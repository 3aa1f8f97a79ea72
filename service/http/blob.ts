/**
 * Serving a blob: whole, in part, or by redirect.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
 */
import type { Context } from 'koa'
import parseRange from 'range-parser'
import type { Digest } from '../domain/descriptor.ts'
import { Failure } from '../domain/errors.ts'
import type { ByteRange } from '../domain/ports.ts'
import type { Blobs } from '../usecases/blobs.ts'
import type { StoredImages } from '../usecases/stored-images.ts'

/** The bytes behind a digest never change. */
export const immutable = 'public, max-age=31536000, immutable'

/** @throws Failure blob-unknown, unavailable */
export async function serveBlob(
  ctx: Context,
  digest: Digest,
  blobs: Blobs,
  images: StoredImages,
): Promise<void> {
  const found = await blobs.stat(digest)
  if (found === undefined) {
    images.forgetBlob(digest)
    throw new Failure('blob-unknown', `no blob ${digest} is stored`, { detail: { digest } })
  }
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
    ctx.redirect(url.href)
    ctx.status = 307
    return
  }
  const range = requestedRange(ctx, digest, found.size)
  if (range === 'unsatisfiable') {
    ctx.status = 416
    ctx.set('Content-Range', `bytes */${found.size}`)
    ctx.body = Buffer.alloc(0)
    return
  }
  const stream = await blobs.get(digest, range)
  if (stream === undefined) throw new Failure('blob-unknown', `no blob ${digest} is stored`)
  ctx.body = stream
  ctx.length = found.size
  if (range !== undefined) {
    ctx.status = 206
    ctx.length = range.end - range.start + 1
    ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${found.size}`)
  }
}

/** One range is honoured; several at once, or one in another unit, are answered with the whole. */
function requestedRange(
  ctx: Context,
  digest: Digest,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const header = ctx.get('Range')
  const condition = ctx.get('If-Range')
  if (header === '' || (condition !== '' && condition !== `"${digest}"`)) return undefined
  const ranges = parseRange(size, header)
  if (ranges === -1) return 'unsatisfiable'
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined
  return ranges[0]
}
