/** What every sort of upload has in common: what the client says beforehand, and what is held against it. */
import { mustHave } from './access.ts'
import { type Call, jsonReply, type Reply } from './call.ts'
import { type Checksums, mismatch, parseGoogHash, type Wanted } from './checksums.ts'
import { check, type Preconditions, parsePreconditions } from './preconditions.ts'
import type { Checksumming } from './service.ts'
import { invalid, required } from './service-error.ts'
import { type ObjectFields, parseFields, resource, type StoredObject } from './stored-object.ts'

export interface Insertion {
  readonly key: string
  readonly fields: ObjectFields
  /** Checksums that the client promises. */
  readonly sent: Checksums
  readonly conditions: Preconditions
}

/**
 * What an upload is to become, as far as it can be said before the content has come.
 * @param metadata as the client sent it
 * @param contentType where the metadata has none
 * @throws {ServiceError} 400, 403, 412
 */
export function insertion(
  call: Call,
  metadata: Readonly<Record<string, unknown>>,
  contentType: string | undefined,
): Insertion {
  const key = call.route.key ?? metadata.name
  if (typeof key !== 'string' || key === '') {
    call.violation('an upload without a name')
    throw required('name')
  }
  const { bucket } = call.service
  const conditions = parsePreconditions(call.query)
  const existing = bucket.find(key)
  check(conditions, existing)
  if (existing) mustHave(call, 'storage.objects.delete')
  const fields = parseFields(metadata, (name) => call.violation(`unknown metadata ${name}`))
  const { md5Hash, crc32c } = metadata
  return {
    key,
    fields: { ...(contentType !== undefined && { contentType }), ...fields },
    sent: {
      ...(typeof md5Hash === 'string' && { md5Hash }),
      ...(typeof crc32c === 'string' && { crc32c }),
      ...checksumsInHeaders(call),
    },
    conditions,
  }
}

/** @throws {ServiceError} 400 */
export function checksumsInHeaders(call: Call): Checksums {
  const md5Hash = call.header('content-md5')
  const header = call.header('x-goog-hash')
  const hashes = header === undefined ? {} : parseGoogHash(header)
  if (!hashes) {
    call.violation(`malformed X-Goog-Hash: ${header}`)
    throw invalid('Malformed X-Goog-Hash')
  }
  return { ...(md5Hash !== undefined && { md5Hash }), ...hashes }
}

/** Which checksums an upload needs: those that the emulator keeps, and those to hold against what was sent. */
export function wantedChecksums({ service }: Call, sent: Checksums): Wanted {
  const kept: Record<Checksumming, Wanted> = {
    both: ['md5Hash', 'crc32c'],
    crc32c: ['crc32c'],
    asked: [],
  }
  return [...kept[service.checksumming], ...(Object.keys(sent) as (keyof Checksums)[])]
}

/** @throws {ServiceError} 400 if what the client promised did not arrive */
export function verify(call: Call, sent: Checksums, checksums: Checksums): void {
  const problem = mismatch(sent, checksums)
  if (!problem) return
  if (!call.damaged) call.violation(problem)
  throw invalid(problem)
}

export function objectReply({ service }: Call, object: StoredObject): Reply {
  return jsonReply(resource(object, service.bucket.name, service.url))
}
