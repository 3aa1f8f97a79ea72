/**
 * A multipart/related body: the object's metadata as JSON, then its content.
 *
 *     --BOUNDARY
 *     Content-Type: application/json
 *
 *     {"contentType":"text/plain"}
 *     --BOUNDARY
 *     Content-Type: text/plain
 *
 *     content, any length
 *     --BOUNDARY--
 *
 * @see https://www.rfc-editor.org/rfc/rfc2387
 * @see https://cloud.google.com/storage/docs/json_api/v1/how-tos/multipart-upload
 */
import { invalid } from './service-error.ts'

export interface Multipart {
  /** The first part. */
  readonly metadata: string
  /** Of the second part. */
  readonly contentType: string | undefined
  /** @throws {ServiceError} 400 if the body ends before the part does */
  readonly content: AsyncIterable<Buffer>
}

/** More than this before the content begins is not what this upload is for. */
const maximalHead = 64 * 1024
const endOfHeaders = '\r\n\r\n'

/** @throws {ServiceError} 400 for a body of another form */
export async function readMultipart(
  body: AsyncIterable<Buffer>,
  contentType: string,
): Promise<Multipart> {
  const [, quoted, plain] =
    /^multipart\/related\s*;.*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (!boundary) throw invalid('The body must be multipart/related, with a boundary.')
  const delimiter = Buffer.from(`\r\n--${boundary}`)

  // The first boundary has no line before it.
  let head = Buffer.from('\r\n')
  const chunks = body[Symbol.asyncIterator]()
  for (;;) {
    const parts = beginning(head, delimiter)
    if (parts) {
      const { metadata, contentType, start } = parts
      return { metadata, contentType, content: content(head.subarray(start), chunks, delimiter) }
    }
    const next = await chunks.next()
    if (next.done || head.length > maximalHead) throw invalid('Malformed multipart body.')
    head = Buffer.concat([head, next.value])
  }
}

/** @returns nothing as long as the second part has not begun */
function beginning(
  head: Buffer,
  delimiter: Buffer,
): { metadata: string; contentType: string | undefined; start: number } | undefined {
  const first = head.indexOf(delimiter)
  const metadataStart = head.indexOf(endOfHeaders, first + delimiter.length)
  if (first < 0 || metadataStart < 0) return undefined
  const second = head.indexOf(delimiter, metadataStart + 2)
  const contentStart = head.indexOf(endOfHeaders, second + delimiter.length)
  if (second < 0 || contentStart < 0) return undefined
  const headers = head.toString('latin1', second + delimiter.length, contentStart)
  return {
    metadata: head.toString('utf8', metadataStart + endOfHeaders.length, second),
    contentType: /^content-type:\s*(.+?)\s*$/im.exec(headers)?.[1],
    start: contentStart + endOfHeaders.length,
  }
}

async function* content(
  start: Buffer,
  chunks: AsyncIterator<Buffer>,
  delimiter: Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  let buffer = start
  for (;;) {
    const end = buffer.indexOf(delimiter)
    if (end >= 0) {
      yield buffer.subarray(0, end)
      // The epilogue means nothing, but the client must be let to send it.
      while (!(await chunks.next()).done);
      return
    }
    const kept = beginningAtEnd(buffer, delimiter)
    yield buffer.subarray(0, buffer.length - kept)
    const next = await chunks.next()
    if (next.done) throw invalid('The multipart body ended before its last boundary.')
    buffer =
      kept > 0 ? Buffer.concat([buffer.subarray(buffer.length - kept), next.value]) : next.value
  }
}

/** @returns how many bytes at the end of a buffer may be the beginning of the delimiter */
function beginningAtEnd(buffer: Buffer, delimiter: Buffer): number {
  const most = Math.min(delimiter.length - 1, buffer.length)
  for (let length = most; length > 0; length--) {
    if (buffer.subarray(buffer.length - length).equals(delimiter.subarray(0, length))) return length
  }
  return 0
}
