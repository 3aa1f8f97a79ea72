/** The one place that writes to the wire. */
import { createReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { FilePart, Reply } from './call.ts'
import type { Faults } from './faults.ts'
import type { RequestRecord } from './ledger.ts'
import type { Route } from './route.ts'
import type { ServiceError } from './service-error.ts'

const types = {
  json: 'application/json; charset=UTF-8',
  xml: 'application/xml; charset=UTF-8',
  media: 'text/html; charset=UTF-8',
}

export function errorReply(error: ServiceError, api: Route['api']): Reply {
  const { status, headers, message } = error.fields
  if (status === 304) return { status }
  const body = api === 'json' ? error.toJson() : api === 'xml' ? error.toXml() : message
  return { status, headers: { ...headers, 'Content-Type': types[api] }, body }
}

/** @throws when the client has gone, or a fault has cut the connection */
export async function send(
  response: ServerResponse,
  record: RequestRecord,
  { status, headers = {}, body = '' }: Reply,
  faults: Faults,
): Promise<void> {
  // Before the client can see the answer: it may ask at once what it says here.
  record.status = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (status === 308) response.statusMessage = 'Resume Incomplete'
  response.statusCode = status
  try {
    if (typeof body === 'string') {
      const text = record.method === 'HEAD' ? '' : body
      record.bytesOut = Buffer.byteLength(text)
      if (!response.hasHeader('Content-Length') && status !== 204 && status !== 304) {
        response.setHeader('Content-Length', Buffer.byteLength(body))
      }
      response.end(text)
    } else await sendFile(response, record, body, faults)
  } catch (error) {
    record.status = 0
    throw error
  }
}

async function sendFile(
  response: ServerResponse,
  record: RequestRecord,
  { descriptor, start, length }: FilePart,
  faults: Faults,
): Promise<void> {
  const file = createReadStream('', {
    fd: descriptor,
    start,
    // Inclusive, so an empty file cannot be said here; reading it ends at once all the same.
    end: Math.max(start, start + length - 1),
    highWaterMark: 1 << 20,
  })
  const cut = faults.of('cut-download', record)
  const corrupt = faults.spend(faults.of('corrupt-download', record))
  await pipeline(
    file,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        if (corrupt && record.bytesOut === 0) chunk.writeUInt8(chunk.readUInt8(0) ^ 1, 0)
        const before = record.bytesOut
        if (cut && before + chunk.length >= cut.afterBytes && faults.spend(cut)) {
          record.bytesOut = cut.afterBytes
          yield chunk.subarray(0, cut.afterBytes - before)
          await closed(response)
          return
        }
        record.bytesOut += chunk.length
        yield chunk
      }
    },
    response,
  )
}

/** What was written still goes out, then the connection ends. */
async function closed(response: ServerResponse): Promise<void> {
  const gone = new Promise((resolve) => response.once('close', resolve))
  response.socket?.destroySoon()
  await gone
}
