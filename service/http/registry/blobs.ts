/**
 * `GET /v2/<name>/blobs/<digest>`: a blob as a whole, in part, or by redirect.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
import type { Context } from 'koa'
import { type Digest, immutableCacheControl } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import { type ImageName, parseImageName } from '../../image/image-name.ts'
import { parseDigest } from '../../image/reference.ts'
import type { ImageFreshness } from '../../storage/ports.ts'
import { cacheAnswer } from '../answer-cache.ts'
import type { Act } from '../route.ts'
import type { RegistryServices } from '../services.ts'
import { requestedRange } from './byte-range.ts'
import { sendExactly } from './send-exactly.ts'

/** Bytes of the largest blob that the answer cache keeps: configs and the layers of link farms are smaller. */
const smallBlob = 1024 * 1024

interface BlobRequest {
  readonly name: ImageName
  readonly digest: Digest
}

/** @throws Failure name-invalid, digest-invalid */
export function parseBlobPath(_: Context, name: string, digest: string): BlobRequest {
  return { name: parseImageName(name), digest: parseDigest(digest) }
}

export function sendBlob({ blobs, images, onBlobBytes }: RegistryServices): Act<BlobRequest> {
  return async (ctx, { name, digest }) => {
    const found = await blobs.stat(digest)
    const expected = images.sizeOf(digest) ?? found?.size
    // A blob that was cut short counts as lost: the next pull packs it again.
    if (found === undefined || found.size !== expected) throw lost(digest, images)
    const { size } = found
    ctx.status = 200
    ctx.set({
      'Docker-Content-Digest': digest,
      ETag: `"${digest}"`,
      'Cache-Control': immutableCacheControl,
      'Accept-Ranges': 'bytes',
      'Content-Type': 'application/octet-stream',
    })
    if (ctx.fresh) {
      ctx.status = 304
      return
    }
    if (ctx.method === 'HEAD') {
      ctx.length = size
      return
    }
    const url = await blobs.url(digest)
    if (url !== undefined) return redirect(ctx, url)

    const range = requestedRange(ctx, digest, size)
    if (range === undefined && size <= smallBlob) {
      const bytes = await blobs.readWhole(digest)
      if (bytes === undefined) throw lost(digest, images)
      ctx.body = bytes
      onBlobBytes(bytes.length)
      // The digest of the bytes was verified, so the answer stays valid for ever.
      const onServed = (_address: string, count: number) => onBlobBytes(count)
      return cacheAnswer(ctx, { name, isFresh: () => true, onServed })
    }
    const length = range === undefined ? size : range.end - range.start + 1
    ctx.length = length
    if (range !== undefined) {
      ctx.status = 206
      ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${size}`)
    }
    const isFound = await sendExactly(
      ctx,
      length,
      (take) => blobs.send(digest, range, take),
      onBlobBytes,
    )
    if (!isFound) throw lost(digest, images)
  }
}

function redirect(ctx: Context, url: URL): void {
  // A signed URL expires within minutes, so the redirect must not be cached.
  ctx.set('Cache-Control', 'no-store')
  ctx.redirect(url.href)
  ctx.status = 307
}

function lost(digest: Digest, images: ImageFreshness): Failure {
  images.forgetBlob(digest)
  return new Failure('blob-unknown', `no blob ${digest} is stored`, { detail: { digest } })
}
