/** An object as the bucket keeps it, and as the JSON API shows it. */
import type { Checksums } from './checksums.ts'

/**
 * What a caller may set.
 * @see https://cloud.google.com/storage/docs/json_api/v1/objects#resource
 */
export interface ObjectFields {
  readonly contentType?: string
  readonly cacheControl?: string
  readonly contentEncoding?: string
  readonly contentDisposition?: string
  readonly contentLanguage?: string
  readonly storageClass?: string
  readonly metadata?: Readonly<Record<string, string>>
}

const fieldNames = [
  'contentType',
  'cacheControl',
  'contentEncoding',
  'contentDisposition',
  'contentLanguage',
  'storageClass',
] as const

/** Sent with an upload besides what is kept of it. */
const uploadNames = ['name', 'bucket', 'md5Hash', 'crc32c', 'metadata']

export interface StoredObject {
  readonly key: string
  readonly fields: ObjectFields
  /** Of the content, in bytes. */
  readonly size: number
  readonly checksums: Checksums
  /** Path of the file with the content. */
  readonly file: string
  /** Grows with each write to the bucket. */
  readonly generation: number
  /** 1 at first, one more at each change of the fields. */
  readonly metageneration: number
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly updated: number
}

/** @param unknown told the name of anything that is not a field of an object */
export function parseFields(
  json: Readonly<Record<string, unknown>>,
  unknown: (name: string) => void,
): ObjectFields {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(json)) {
    if (fieldNames.includes(name as (typeof fieldNames)[number])) {
      if (typeof value === 'string') fields[name] = value
    } else if (name === 'metadata') fields[name] = value
    else if (!uploadNames.includes(name)) unknown(name)
  }
  return fields
}

/** A PATCH: null takes a field away, and so it does inside `metadata`. */
export function patched(
  before: ObjectFields,
  patch: Readonly<Record<string, unknown>>,
): ObjectFields {
  const after: Record<string, unknown> = { ...before, ...patch }
  if (patch.metadata) after.metadata = withoutNulls({ ...before.metadata, ...patch.metadata })
  return withoutNulls(after)
}

function withoutNulls<Values extends object>(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)) as Values
}

/** Opaque to callers, different for each generation and metageneration. */
export function etag({ generation, metageneration }: StoredObject): string {
  return Buffer.from(`${generation}/${metageneration}`).toString('base64')
}

/** @param url of the service */
export function resource(object: StoredObject, bucket: string, url: string): object {
  const { key, generation, metageneration } = object
  const self = `${url}/storage/v1/b/${bucket}/o/${encodeURIComponent(key)}`
  const created = new Date(object.created).toISOString()
  return {
    kind: 'storage#object',
    id: `${bucket}/${key}/${generation}`,
    selfLink: self,
    mediaLink: `${url}/download${new URL(self).pathname}?generation=${generation}&alt=media`,
    name: key,
    bucket,
    generation: String(generation),
    metageneration: String(metageneration),
    storageClass: 'STANDARD',
    ...object.fields,
    size: String(object.size),
    ...object.checksums,
    etag: etag(object),
    timeCreated: created,
    updated: new Date(object.updated).toISOString(),
    timeStorageClassUpdated: created,
    timeFinalized: created,
  }
}

/** What both APIs say of the content in the head of a download. */
export function contentHeaders(object: StoredObject): Record<string, string | string[]> {
  const { fields } = object
  return {
    'Content-Type': fields.contentType ?? 'application/octet-stream',
    ...(fields.cacheControl && { 'Cache-Control': fields.cacheControl }),
    ...(fields.contentEncoding && { 'Content-Encoding': fields.contentEncoding }),
    ...(fields.contentDisposition && { 'Content-Disposition': fields.contentDisposition }),
    'Last-Modified': new Date(object.updated).toUTCString(),
    'X-Goog-Generation': String(object.generation),
    'X-Goog-Metageneration': String(object.metageneration),
    'X-Goog-Storage-Class': fields.storageClass ?? 'STANDARD',
    // The client verifies a download only if it is told so that the bytes are the stored ones.
    'X-Goog-Stored-Content-Encoding': fields.contentEncoding ?? 'identity',
    'X-Goog-Stored-Content-Length': String(object.size),
  }
}

/** `crc32c=…`, `md5=…` */
export function hashes({ checksums }: StoredObject): string[] {
  return [
    ...(checksums.crc32c ? [`crc32c=${checksums.crc32c}`] : []),
    ...(checksums.md5Hash ? [`md5=${checksums.md5Hash}`] : []),
  ]
}
