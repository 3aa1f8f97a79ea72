/**
 * Content descriptors.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'

/** `sha256:` and 64 lower-case hex digits. This registry stores blobs under no other algorithm. */
export type Digest = `sha256:${string}`

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const

/** `Cache-Control` of content that is named by its digest, and so never changes. */
export const immutableCacheControl = 'public, max-age=31536000, immutable'

export function sha256Digest(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Returns the part after the algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** Validates a digest in a record. */
export const digestSchema = z.custom<Digest>(
  (value) => typeof value === 'string' && /^sha256:[a-f0-9]{64}$/.test(value),
  'not a sha256 digest',
)
/** Bytes. */
export const sizeSchema = z.int().nonnegative()
export const descriptorSchema: z.ZodType<Descriptor> = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: sizeSchema,
})
