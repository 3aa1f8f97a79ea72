/**
 * Names of objects, page by page.
 * @see https://cloud.google.com/storage/docs/json_api/v1/objects/list
 */
import { authorize } from './access.ts'
import { type Call, jsonReply, type Reply } from './call.ts'
import { integer } from './preconditions.ts'
import { invalid, notEmulated } from './service-error.ts'
import { resource, type StoredObject } from './stored-object.ts'

const notKnown = ['versions', 'matchGlob', 'softDeleted', 'includeTrailingDelimiter', 'filter']

/** GET /storage/v1/b/BUCKET/o */
export async function listObjects(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.list')
  const { service, query } = call
  const missing = notKnown.find((name) => !['', 'false'].includes(query.get(name) ?? ''))
  if (missing) throw notEmulated(missing)

  const entries = entriesOf(call)
  const asked = integer(query, 'maxResults') || service.settings.pageSize
  // Fewer than were asked for is always right.
  const page = entries.slice(0, Math.min(asked, service.settings.pageSize))
  const last = page.at(-1)
  const prefixes = page.filter((entry) => typeof entry === 'string')
  const objects = page.filter((entry) => typeof entry !== 'string')
  const complete = await Promise.all(objects.map((object) => service.bucket.withChecksums(object)))
  return jsonReply({
    kind: 'storage#objects',
    ...(prefixes.length > 0 && { prefixes }),
    ...(complete.length > 0 && {
      items: complete.map((object) => resource(object, service.bucket.name, service.url)),
    }),
    ...(last && page.length < entries.length && { nextPageToken: tokenAfter(name(last)) }),
  })
}

/** Objects, and the common beginnings of names that a delimiter folds, from where the page begins. */
function entriesOf({ service, query }: Call): (StoredObject | string)[] {
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') ?? ''
  const after = nameIn(query.get('pageToken'))
  const start = Buffer.from(query.get('startOffset') ?? '')
  const end = query.get('endOffset')
  const folded = new Set<string>()
  return service.bucket.all().flatMap((object): (StoredObject | string)[] => {
    const { key } = object
    const bytes = Buffer.from(key)
    if (!key.startsWith(prefix) || Buffer.compare(bytes, start) < 0) return []
    if (end !== null && Buffer.compare(bytes, Buffer.from(end)) >= 0) return []
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const entry = cut < 0 ? object : key.slice(0, cut + delimiter.length)
    if (after && Buffer.compare(Buffer.from(name(entry)), after) <= 0) return []
    if (typeof entry !== 'string') return [entry]
    if (folded.has(entry)) return []
    folded.add(entry)
    return [entry]
  })
}

function name(entry: StoredObject | string): string {
  return typeof entry === 'string' ? entry : entry.key
}

function tokenAfter(name: string): string {
  return Buffer.from(`after ${name}`).toString('base64url')
}

/** @throws {ServiceError} 400 for a token that was not given out */
function nameIn(token: string | null): Buffer | undefined {
  if (!token) return undefined
  const text = Buffer.from(token, 'base64url')
  if (text.subarray(0, 6).toString() !== 'after ') throw invalid('Invalid pageToken')
  return text.subarray(6)
}
