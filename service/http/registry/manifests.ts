/**
 * `GET /v2/<name>/manifests/<reference>`.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
import type { Context } from 'koa'
import { type Digest, immutableCacheControl } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import { type ImageName, parseImageName } from '../../image/image-name.ts'
import type { Document } from '../../image/manifest.ts'
import { parseReference, type Reference } from '../../image/reference.ts'
import { cacheAnswer } from '../answer-cache.ts'
import type { Act } from '../route.ts'
import type { RegistryServices } from '../services.ts'
import { chooseManifest } from './negotiate.ts'

interface ManifestRequest {
  readonly name: ImageName
  readonly reference: Reference
}

/** @throws Failure name-invalid, tag-invalid, digest-invalid */
export function parseManifestPath(_: Context, name: string, reference: string): ManifestRequest {
  return { name: parseImageName(name), reference: parseReference(reference) }
}

export function sendManifest(services: RegistryServices): Act<ManifestRequest> {
  return (ctx, { name, reference }) =>
    reference.kind === 'tag'
      ? sendByTag(ctx, services, name, reference.tag)
      : sendByDigest(ctx, services, name, reference.digest)
}

/** A tag may move, so clients and proxies must revalidate the answer. */
async function sendByTag(
  ctx: Context,
  { pull, source, images, onPull }: RegistryServices,
  name: ImageName,
  tag: string,
): Promise<void> {
  // Read before the build: if a ref moves during the build, the answer is not cached for the new refs.
  const { version } = source
  const image = await pull.byTag(name, tag)
  onPull(name, ctx.ip)
  ctx.set('Vary', 'Accept')
  if (version !== undefined) {
    cacheAnswer(ctx, {
      name,
      isFresh: () => source.version === version && images.holds(image),
      onServed: (address) => {
        pull.repeated()
        onPull(name, address)
      },
    })
  }
  sendDocument(ctx, chooseManifest(image, ctx), 'no-cache')
}

async function sendByDigest(
  ctx: Context,
  { pull, images }: RegistryServices,
  name: ImageName,
  digest: Digest,
): Promise<void> {
  const document = await pull.byDigest(digest)
  if (document === undefined) {
    images.forgetBlob(digest)
    throw new Failure('manifest-unknown', `no manifest ${digest} is stored`, { detail: { digest } })
  }
  cacheAnswer(ctx, { name, isFresh: () => images.holdsDocument(document), onServed: () => {} })
  sendDocument(ctx, document, immutableCacheControl)
}

function sendDocument(ctx: Context, { descriptor, bytes }: Document, caching: string): void {
  ctx.status = 200
  ctx.set({
    'Content-Type': descriptor.mediaType,
    'Docker-Content-Digest': descriptor.digest,
    ETag: `"${descriptor.digest}"`,
    'Cache-Control': caching,
  })
  if (ctx.fresh) {
    ctx.status = 304
    return
  }
  // Koa would write any other Uint8Array as JSON.
  ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
