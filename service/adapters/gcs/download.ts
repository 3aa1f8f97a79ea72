/** Reads an object. */

import { Readable } from 'node:stream'
import type { ByteRange } from '../../storage/ports.ts'
import type { GcsClient } from './client.ts'

/** Milliseconds until the response begins, and until a small response is complete. */
const responseTimeout = 20_000
/** Bytes up to which an object is read completely before it is returned: all records, manifests and configs. */
const small = 4 * 1024 * 1024

/**
 * Returns the bytes of an object. A small object has arrived completely when this resolves; if it was cut
 * off, the request fails, and can be sent again. The stream of a large object may break off later, so its
 * reader checks the digest. (The library's own stream closes the connections of other readers when one
 * reader goes away.)
 * @throws an error with a status
 */
export async function download(
  client: GcsClient,
  bucket: string,
  key: string,
  range?: ByteRange,
): Promise<Readable> {
  const path = `/storage/v1/b/${bucket}/o/${encodeURIComponent(key)}?alt=media`
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(new Error('no response in time')), responseTimeout)
  try {
    const { headers, body } = await client.send(`${client.apiEndpoint}${path}`, {
      method: 'GET',
      headers: range === undefined ? {} : { Range: `bytes=${range.start}-${range.end}` },
      signal: abort.signal,
    })
    const length = Number(headers['content-length'] ?? Number.NaN)
    if (!(length <= small)) return body
    return Readable.from([Buffer.from(await body.arrayBuffer())])
  } finally {
    clearTimeout(timer)
  }
}
