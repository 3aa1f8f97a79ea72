/**
 * Resumable uploads: a session, and then the content in one request or in many.
 *
 *     POST …?uploadType=resumable&name=KEY                     200, Location: SESSION
 *     PUT SESSION  Content-Range: bytes 0-262143/STAR          308, Range: bytes=0-262143
 *     PUT SESSION  Content-Range: bytes STAR/STAR              308 with what has arrived, or 200 if all has
 *     PUT SESSION  Content-Range: bytes 262144-300000/300001   200, the object
 *
 * where STAR is an asterisk.
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
import { open, truncate } from 'node:fs/promises'
import { authorize, mustBeBucket } from './access.ts'
import { parseUploadRange, type UploadRange } from './byte-range.ts'
import type { Call, Reply } from './call.ts'
import { type Checksums, checksumsOfFile, Tally } from './checksums.ts'
import { without, writeContent } from './content.ts'
import { checksumsInHeaders, insertion, objectReply, verify, wantedChecksums } from './insertion.ts'
import { integer } from './preconditions.ts'
import { invalid } from './service-error.ts'
import type { Session } from './sessions.ts'

/** Every piece but the last is a multiple of so many bytes, and so is what survives a broken connection. */
const granularity = 256 * 1024

/** POST /upload/storage/v1/b/BUCKET/o?uploadType=resumable */
export async function startSession(call: Call): Promise<Reply> {
  authorize(call, 'storage.objects.create')
  const metadata = await call.json()
  const wanted = insertion(call, metadata, call.header('x-upload-content-type'))
  const length = call.header('x-upload-content-length')
  const announced = new URLSearchParams(length === undefined ? {} : { length })
  const { service } = call
  const session = service.sessions.start({
    ...wanted,
    total: integer(announced, 'length'),
    file: service.bucket.newFile(),
    tally: new Tally(wantedChecksums(call, wanted.sent)),
  })
  const query = new URLSearchParams(call.query)
  query.set('name', session.key)
  query.set('upload_id', session.id)
  const location = `${service.url}/upload/storage/v1/b/${service.bucket.name}/o?${query}`
  return { status: 200, headers: { Location: location, 'X-GUploader-UploadID': session.id } }
}

/** DELETE of a session. As for all of its requests, to know its URL is enough. */
export function cancelSession(call: Call): Reply {
  mustBeBucket(call)
  call.service.sessions.get(call.query.get('upload_id')).end(499)
  return { status: 499 }
}

/** PUT to a session: content, or a question */
export async function continueSession(call: Call): Promise<Reply> {
  mustBeBucket(call)
  const session = call.service.sessions.get(call.query.get('upload_id'))
  return session.exclusive(async () => {
    // The answer that said so may have been lost.
    if (session.object) return objectReply(call, session.object)
    const range = rangeOf(call, session)
    if (range.first !== undefined) return append(call, session, { ...range, first: range.first })
    if ((await call.text()) !== '') throw violated(call, 'a question with content')
    return range.total === session.persisted ? finish(call, session) : incomplete(session)
  })
}

/** @throws {ServiceError} 400 */
function rangeOf(call: Call, session: Session): UploadRange {
  const header = call.header('content-range')
  // Without the header the request has all of the content.
  const range = header === undefined ? { first: 0 } : parseUploadRange(header)
  if (!range) throw violated(call, `malformed Content-Range: ${header}`)
  if (range.total !== undefined) {
    if (session.total !== undefined && session.total !== range.total) {
      throw violated(call, `${range.total} bytes in all, which were ${session.total} before`)
    }
    session.total = range.total
  }
  if (range.first !== undefined && range.first > session.persisted) {
    throw violated(
      call,
      `content from ${range.first}, but only ${session.persisted} bytes are here`,
    )
  }
  return range
}

async function append(
  call: Call,
  session: Session,
  { first, last }: UploadRange & { readonly first: number },
): Promise<Reply> {
  const handle = await open(session.file, 'r+')
  // What is here already may be sent again.
  const source = without(call.content(), session.persisted - first)
  const { length, error } = await writeContent(source, handle, session.persisted, session.tally)
  await handle.close()
  session.damaged ||= call.damaged

  const piece = { first, last, received: call.record.bytesIn, cut: error !== undefined }
  const { kept, problem, complete } = verdict(piece, session.total)
  const arrived = session.persisted + length
  session.persisted = Math.max(session.persisted, kept)
  if (session.persisted !== arrived) session.tally = undefined
  if (error) throw error
  if (problem) throw violated(call, problem)
  return complete ? finish(call, session) : incomplete(session)
}

interface Piece {
  readonly first: number
  /** Missing if the piece goes on until the end, wherever that is. */
  readonly last: number | undefined
  /** Bytes. */
  readonly received: number
  /** The connection broke. */
  readonly cut: boolean
}

interface Verdict {
  /** Bytes from the beginning of the object that need not be sent again. */
  readonly kept: number
  readonly problem?: string
  readonly complete?: boolean
}

/** @param total bytes of the whole object, if they are known */
function verdict({ first, last, received, cut }: Piece, total: number | undefined): Verdict {
  const end = first + received
  const early = last === undefined && total !== undefined && end < total
  if (cut || early) return { kept: end - (end % granularity) }
  if (last !== undefined && end !== last + 1) {
    return { kept: first, problem: `${received} bytes of content for ${first}-${last}` }
  }
  if (total !== undefined && end > total) {
    return { kept: first, problem: `more than the ${total} bytes that were announced` }
  }
  if (end === total || last === undefined) return { kept: end, complete: true }
  if (received % granularity === 0) return { kept: end }
  const problem = `a piece of ${received} bytes is neither the last nor whole blocks`
  return { kept: first, problem }
}

function incomplete({ persisted }: Session): Reply {
  return { status: 308, headers: persisted > 0 ? { Range: `bytes=0-${persisted - 1}` } : {} }
}

/** Whatever comes of it, the session is over. */
async function finish(call: Call, session: Session): Promise<Reply> {
  const { bucket } = call.service
  const { key, file, fields, conditions, persisted: size } = session
  try {
    if (session.total !== undefined && session.total !== size) {
      throw violated(call, `${size} bytes, but ${session.total} were announced`)
    }
    call.damaged = session.damaged
    const sent = { ...session.sent, ...checksumsInHeaders(call) }
    await truncate(file, size)
    const checksums = await checksumsOf(call, session, sent)
    verify(call, sent, checksums)
    session.object = bucket.put(key, { file, size, checksums }, fields, conditions)
  } catch (error) {
    session.end(410)
    throw error
  }
  return objectReply(call, session.object)
}

/** The tally, if it knows all that is wanted, else computed from the file. */
async function checksumsOf(call: Call, session: Session, sent: Checksums): Promise<Checksums> {
  const wanted = wantedChecksums(call, sent)
  const known = session.tally?.result()
  return known && wanted.every((name) => known[name] !== undefined)
    ? known
    : checksumsOfFile(session.file, wanted)
}

function violated(call: Call, problem: string) {
  call.violation(problem)
  return invalid(problem)
}
