/**
 * The JSON API but for uploads.
 * @see https://cloud.google.com/storage/docs/json_api/v1
 */
import { openSync } from 'node:fs'
import { authorize, mustHave } from './access.ts'
import { parseRange } from './byte-range.ts'
import { type Call, type FilePart, jsonReply, type Reply } from './call.ts'
import { objectReply } from './insertion.ts'
import { check, integer, parsePreconditions } from './preconditions.ts'
import { forbidden, noSuchBucket, rangeNotSatisfiable, ServiceError } from './service-error.ts'
import {
  contentHeaders,
  etag,
  hashes,
  parseFields,
  patched,
  type StoredObject,
} from './stored-object.ts'

/** GET /storage/v1/b/BUCKET */
export function bucketMetadata(call: Call): Reply {
  authorize(call, 'storage.buckets.get')
  const { service } = call
  const { name } = service.bucket
  return jsonReply({
    kind: 'storage#bucket',
    id: name,
    name,
    selfLink: `${service.url}/storage/v1/b/${name}`,
    location: 'EU',
    storageClass: 'STANDARD',
    metageneration: '1',
    etag: 'CAE=',
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
  })
}

/** GET /storage/v1/b/BUCKET/iam/testPermissions */
export function testPermissions(call: Call): Reply {
  authorize(call)
  const held: ReadonlySet<string> = call.service.settings.permissions
  const permissions = call.query.getAll('permissions').filter((name) => held.has(name))
  return jsonReply({
    kind: 'storage#testIamPermissionsResponse',
    ...(permissions.length > 0 && { permissions }),
  })
}

/** GET or HEAD /storage/v1/b/BUCKET/o/OBJECT */
export async function objectMetadata(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.get')
  return objectReply(call, await call.service.bucket.withChecksums(wanted(call, true)))
}

/** The same with alt=media */
export async function download(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.get')
  const object = await call.service.bucket.withChecksums(wanted(call, true))
  const headers = {
    ...contentHeaders(object),
    'X-Goog-Hash': hashes(object).join(','),
    ETag: etag(object),
  }
  return contentReply(call, object, headers)
}

/** PATCH /storage/v1/b/BUCKET/o/OBJECT */
export async function patchMetadata(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.update')
  const changes = await call.json()
  const object = wanted(call)
  parseFields(changes, (name) => call.violation(`unknown metadata ${name}`))
  return objectReply(call, call.service.bucket.patch(object, patched(object.fields, changes)))
}

/** DELETE /storage/v1/b/BUCKET/o/OBJECT */
export function deleteObject(call: Call): Reply {
  authorize(call, 'storage.objects.delete')
  call.service.bucket.delete(wanted(call))
  return { status: 204 }
}

/** POST /storage/v1/b/BUCKET/o/SOURCE/rewriteTo/b/BUCKET/o/TARGET: always done at once */
export async function copyObject(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.get', 'storage.objects.create')
  const { bucket } = call.service
  const { key = '', targetBucket, targetKey = '' } = call.route
  if (targetBucket !== bucket.name) throw noSuchBucket()
  const changes = await call.json()
  const source = bucket.get(key, integer(call.query, 'sourceGeneration'))
  check(parsePreconditions(call.query, 'ifSource'), source)
  if (bucket.find(targetKey)) mustHave(call, 'storage.objects.delete')
  const given = parseFields(changes, (name) => call.violation(`unknown metadata ${name}`))
  // Metadata in the request replaces that of the source, it is not added to it.
  const fields = Object.keys(given).length > 0 ? given : source.fields
  const object = bucket.copy(source, targetKey, fields, parsePreconditions(call.query))
  const { body } = objectReply(call, object)
  return jsonReply({
    kind: 'storage#rewriteResponse',
    totalBytesRewritten: String(object.size),
    objectSize: String(object.size),
    done: true,
    resource: JSON.parse(String(body)),
  })
}

/**
 * The object that a request is about, if it is in the state that the request is for.
 * @throws {ServiceError} 403, 404, 412, or 304 for a reader
 */
function wanted(call: Call, reading = false): StoredObject {
  const { service, route, query } = call
  const { key = '' } = route
  try {
    const object = service.bucket.get(key, integer(query, 'generation'))
    check(parsePreconditions(query), object, reading)
    return object
  } catch (error) {
    // To learn that an object does not exist is to learn what the bucket holds.
    const missing = error instanceof ServiceError && error.fields.status === 404
    if (missing && !service.settings.permissions.has('storage.objects.list')) {
      throw forbidden(service.account.email, 'storage.objects.get')
    }
    throw error
  }
}

/**
 * Content, or the range of it that was asked for.
 * @throws {ServiceError} 416
 */
export function contentReply(
  call: Call,
  object: StoredObject,
  headers: Readonly<Record<string, string | readonly string[]>>,
): Reply {
  const range = parseRange(call.header('range'), object.size)
  if (range === 'unsatisfiable') throw rangeNotSatisfiable(object.size)
  const { first: start, last } = range ?? { first: 0, last: object.size - 1 }
  const length = last + 1 - start
  const head = call.request.method === 'HEAD'
  const body: FilePart | undefined = head
    ? undefined
    : { descriptor: openSync(object.file, 'r'), start, length }
  return {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      'Accept-Ranges': 'bytes',
      'Content-Length': String(length),
      ...(range && { 'Content-Range': `bytes ${start}-${last}/${object.size}` }),
    },
    ...(body && { body }),
  }
}
