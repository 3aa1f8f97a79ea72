/** Reading an object. */

import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ReadableStream } from 'node:stream/web'
import type { ByteRange } from '../../storage/ports.ts'
import type { GcsClient } from './client.ts'

/** Milliseconds until the answer begins. */
const answerTimeout = 20_000
/** Bytes: records, manifests and configs are smaller, and are read whole before anybody gets them. */
const small = 4 * 1024 * 1024

/** An answer that is no content. */
class Refused extends Error {
  readonly status: number

  constructor(status: number, body: string) {
    super(body.trim() || `status ${status}`)
    this.status = status
  }
}

/**
 * The bytes of an object, read by fetch: the library's stream closes the connections of all others when
 * one reader goes away. What is small has come whole when this resolves, and can be asked for again if it
 * did not; who reads something large checks its digest.
 * @throws an error with a status
 */
export async function download(
  client: GcsClient,
  bucket: string,
  key: string,
  range?: ByteRange,
): Promise<Readable> {
  const path = `/storage/v1/b/${bucket}/o/${encodeURIComponent(key)}?alt=media`
  const url = `${client.endpoint}${path}`
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(new Error('no answer came in time')), answerTimeout)
  try {
    const response = await fetch(url, {
      headers: {
        ...(await client.authorization(url)),
        ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end}` }),
      },
      signal: abort.signal,
    })
    if (!response.ok) throw new Refused(response.status, await response.text())
    const body = Readable.fromWeb((response.body ?? new Blob([]).stream()) as ReadableStream)
    const length = Number(response.headers.get('content-length') ?? Number.NaN)
    if (!(length <= small)) return body
    const bytes = await buffer(body)
    return Readable.from([bytes])
  } finally {
    clearTimeout(timer)
  }
}
