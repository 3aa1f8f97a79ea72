/**
 * `GET /v2/<name>/referrers/<digest>`. No manifest refers to another one here, so the index is empty.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
import type { Context } from 'koa'
import { type Digest, mediaTypes } from '../../image/descriptor.ts'
import { type ImageName, parseImageName } from '../../image/image-name.ts'
import { parseDigest } from '../../image/reference.ts'
import { sendJson } from '../send-json.ts'

interface ReferrersRequest {
  readonly name: ImageName
  /** Digest of the manifest that is referred to; it need not be stored. */
  readonly digest: Digest
}

/** @throws Failure name-invalid, digest-invalid */
export function parseReferrersPath(_: Context, name: string, digest: string): ReferrersRequest {
  return { name: parseImageName(name), digest: parseDigest(digest) }
}

export function sendReferrers(ctx: Context): void {
  if (ctx.query.artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }
  sendJson(ctx, index, mediaTypes.ociIndex)
}
