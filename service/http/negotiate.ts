/** Which dialect of manifest a client wants. */
import { mediaTypes } from '../domain/descriptor.ts'
import { Failure } from '../domain/errors.ts'
import type { Document } from '../domain/manifest.ts'
import type { StoredImage } from '../usecases/stored-images.ts'

/** Schema 1 is never right to send: it is not what the digest of any client's choice covers. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/

/**
 * OCI wherever it is acceptable, so that all clients which know it see one digest for a tag; Docker
 * for those that name that alone.
 * @param accepted types of the Accept header, those with q=0 left out; all of them when there is none
 * @throws Failure not-acceptable
 */
export function chooseManifest(image: StoredImage, accepted: readonly string[]): Document {
  const types = accepted.map((type) => type.toLowerCase())
  if (types.length === 0 || types.includes(mediaTypes.ociManifest)) return image.oci
  if (types.includes(mediaTypes.dockerManifest)) return image.docker
  if (types.includes('*/*') || types.includes('application/*')) return image.oci
  const reason = types.some((type) => schema1.test(type))
    ? 'the client accepts image manifests of schema 1 only, which are no longer sent'
    : `the client accepts ${types.join(', ')}`
  throw new Failure(
    'not-acceptable',
    `${reason}; there is ${mediaTypes.ociManifest} and ${mediaTypes.dockerManifest}`,
    { detail: { accepted: types } },
  )
}
