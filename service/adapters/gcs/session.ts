/**
 * A resumable upload that has been opened: its URL takes the bytes and tells how many have arrived. The
 * file is sent straight from the disk. (The library's stream keeps chunks in memory to be able to send them
 * again, took half as long again for 200 MB, and three times the memory.)
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */

import { open } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { LocalFile } from '../../storage/ports.ts'

/** Bytes read at once. */
const readSize = 512 * 1024
/** Milliseconds without a byte moving. */
const idleTimeout = 60_000

/** The upload was answered, but not as hoped for. */
export class UploadRefused extends Error {
  readonly status: number

  constructor(status: number, body: string) {
    super(`the upload was answered ${status}: ${body.trim().slice(0, 200) || 'no reason given'}`)
    this.status = status
  }
}

export type Progress =
  | { readonly done: true; readonly generation: string }
  /** The next byte that is wanted. */
  | { readonly done: false; readonly next: number }

/**
 * Sends a file from a byte on.
 * @throws UploadRefused, or an error of the connection: then `progressOf` tells where to go on
 */
export async function sendFrom(
  start: number,
  { path, size }: LocalFile,
  url: string,
): Promise<Progress> {
  const request = put(url, {
    'Content-Length': size - start,
    'Content-Range': `bytes ${start}-${size - 1}/${size}`,
  })
  const answer = progressIn(request)
  // An answer may come before all is sent: a refusal. An error of the file ends the request, and is its.
  const sending = send(path, start, request).catch((error) => request.destroy(error))
  try {
    return await answer
  } finally {
    request.destroy()
    await sending
  }
}

/** One piece after the other, from one buffer: a stream would leave the whole file behind as garbage. */
async function send(path: string, start: number, request: http.ClientRequest): Promise<void> {
  await using file = await open(path)
  const buffer = Buffer.allocUnsafe(readSize)
  for (let at = start; ; ) {
    const { bytesRead } = await file.read(buffer, 0, readSize, at)
    if (bytesRead === 0) break
    at += bytesRead
    await new Promise<void>((sent, failed) => {
      const piece = buffer.subarray(0, bytesRead)
      request.write(piece, (error) => (error ? failed(error) : sent()))
    })
  }
  request.end()
}

/** How much of a file has arrived. @throws UploadRefused, with 404 or 410 when the upload is forgotten */
export async function progressOf({ size }: LocalFile, url: string): Promise<Progress> {
  const request = put(url, { 'Content-Length': 0, 'Content-Range': `bytes */${size}` })
  const answer = progressIn(request)
  request.end()
  return answer
}

function put(url: string, headers: http.OutgoingHttpHeaders): http.ClientRequest {
  const { request } = url.startsWith('https:') ? https : http
  // A connection of its own: it may have to be broken off.
  const sent = request(url, { method: 'PUT', headers, agent: false })
  sent.setTimeout(idleTimeout, () => sent.destroy(new Error('the upload stood still')))
  return sent
}

function progressIn(request: http.ClientRequest): Promise<Progress> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response) => readProgress(response).then(resolve, reject))
  })
}

async function readProgress(response: http.IncomingMessage): Promise<Progress> {
  const { statusCode: status = 0, headers } = response
  const body = await text(response)
  if (status === 200 || status === 201) {
    return { done: true, generation: String(JSON.parse(body).generation) }
  }
  if (status !== 308) throw new UploadRefused(status, body)
  // Absent when nothing has arrived; else `bytes=0-42`.
  const last = /^bytes=0-(\d+)$/.exec(headers.range ?? '')?.[1]
  return { done: false, next: last === undefined ? 0 : Number(last) + 1 }
}
