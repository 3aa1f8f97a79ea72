/**
 * Objects by the XML API, which is what signed and public URLs are.
 * @see https://cloud.google.com/storage/docs/xml-api/get-object-download
 */
import { mustHave } from './access.ts'
import type { Call, Reply } from './call.ts'
import { contentReply } from './objects.ts'
import { forbidden, invalidCredentials, noSuchBucket } from './service-error.ts'
import { verifySignedUrl } from './signed-url.ts'
import { contentHeaders, hashes } from './stored-object.ts'

/** GET or HEAD /BUCKET/OBJECT */
export async function publicObject(call: Call): Promise<Reply> {
  const { bucket } = call.service
  const { key = '' } = call.route
  mayRead(call)
  if (call.route.bucket !== bucket.name) throw noSuchBucket()
  const object = await bucket.withChecksums(bucket.get(key))
  const { md5Hash } = object.checksums
  const headers = {
    ...contentHeaders(object),
    // A line each, where the JSON API has them in one.
    'X-Goog-Hash': hashes(object),
    ETag: md5Hash
      ? `"${Buffer.from(md5Hash, 'base64').toString('hex')}"`
      : `"${object.generation}"`,
  }
  return contentReply(call, object, headers)
}

/** @throws {ServiceError} 400, 401 or 403 */
function mayRead(call: Call): void {
  const { account, settings, tokens } = call.service
  const authorization = call.header('authorization')
  if (call.query.has('X-Goog-Signature')) {
    const { method, path: target, headers } = call.record
    verifySignedUrl({ method, target, headers }, account, call.service.now())
    mustHave(call, 'storage.objects.get')
  } else if (authorization !== undefined) {
    if (!tokens.accepts(authorization)) throw invalidCredentials()
    mustHave(call, 'storage.objects.get')
  } else if (!settings.publicRead) throw forbidden('Anonymous caller', 'storage.objects.get')
}
