/**
 * Uploads in one request: the bare content (`uploadType=media`) or metadata and content (`multipart`).
 * @see https://cloud.google.com/storage/docs/json_api/v1/objects/insert
 */
import { open, rm } from 'node:fs/promises'
import { authorize } from './access.ts'
import { type Call, parseJson, type Reply } from './call.ts'
import { Tally } from './checksums.ts'
import { writeContent } from './content.ts'
import { type Insertion, insertion, objectReply, verify, wantedChecksums } from './insertion.ts'
import { readMultipart } from './multipart.ts'
import { continueSession } from './resumable.ts'
import { invalid } from './service-error.ts'

/** POST /upload/storage/v1/b/BUCKET/o, and PUT for a piece of a resumable upload */
export async function upload(call: Call): Promise<Reply> {
  if (call.request.method === 'PUT') return continueSession(call)
  authorize(call, 'storage.objects.create')
  const contentType = call.header('content-type')
  switch (call.query.get('uploadType')) {
    case 'media':
      return receive(call, insertion(call, {}, contentType), call.body)
    case 'multipart': {
      const parts = await readMultipart(call.body, contentType ?? '')
      const wanted = insertion(call, parseJson(parts.metadata), parts.contentType)
      return receive(call, wanted, parts.content)
    }
    default:
      call.violation('uploadType must be media, multipart or resumable')
      throw invalid('Invalid uploadType')
  }
}

async function receive(
  call: Call,
  { key, fields, sent, conditions }: Insertion,
  source: AsyncIterable<Buffer>,
): Promise<Reply> {
  const { bucket } = call.service
  const tally = new Tally(wantedChecksums(call, sent))
  const file = bucket.newFile()
  const handle = await open(file, 'w')
  try {
    const { length: size, error } = await writeContent(call.content(source), handle, 0, tally)
    if (error) throw error
    const checksums = tally.result()
    verify(call, sent, checksums)
    return objectReply(call, bucket.put(key, { file, size, checksums }, fields, conditions))
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}
