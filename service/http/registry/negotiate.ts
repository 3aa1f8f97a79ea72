/** Which dialect of manifest a client wants. */

import type { Context } from 'koa'
import { mediaTypes } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import type { Document } from '../../image/manifest.ts'
import type { StoredImage } from '../../storage/ports.ts'

/** Schema 1 is never right to send: it is not what the digest of any client's choice covers. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/

/**
 * OCI if the client names it or says nothing, so that all clients which know it see one digest for a
 * tag; Docker for those that name that alone; then what a wildcard allows. A type with q=0 is refused.
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
  const reason = named.some((type) => schema1.test(type))
    ? 'the client accepts image manifests of schema 1 only, which are no longer sent'
    : `the client accepts "${ctx.get('Accept')}"`
  throw new Failure(
    'not-acceptable',
    `${reason}; there is ${mediaTypes.ociManifest} and ${mediaTypes.dockerManifest}`,
    { detail: { accepted: named } },
  )
}
