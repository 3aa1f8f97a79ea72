/** Content negotiation: the media type of the manifest that a client is sent. */
import type { Context } from 'koa'
import { mediaTypes } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import type { Document } from '../../image/manifest.ts'
import type { StoredImage } from '../../storage/ports.ts'

/** Schema 1 is never sent: its bytes would not match the digest of the image. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/

/**
 * Returns the OCI manifest if the client names it or sends no Accept, so that all these clients see one
 * digest for a tag. Returns the Docker manifest if the client names only that one. Otherwise wildcards decide.
 * A type with q=0 is not sent.
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-accept
 * @throws Failure not-acceptable
 */
export function chooseManifest(image: StoredImage, ctx: Context): Document {
  if (ctx.get('Accept') === '') return image.oci
  const named = [ctx.accepts()].flat().map((type) => String(type).toLowerCase())
  if (named.includes(mediaTypes.ociManifest)) return image.oci
  if (named.includes(mediaTypes.dockerManifest)) return image.docker
  if (ctx.accepts(mediaTypes.ociManifest)) return image.oci
  if (ctx.accepts(mediaTypes.dockerManifest)) return image.docker
  const accepted = named.some((type) => schema1.test(type))
    ? 'the client accepts image manifests of schema 1 only, which are no longer sent'
    : `the client accepts "${ctx.get('Accept')}"`
  throw new Failure(
    'not-acceptable',
    `${accepted}; the image has ${mediaTypes.ociManifest} and ${mediaTypes.dockerManifest}`,
    { detail: { accepted: named } },
  )
}
