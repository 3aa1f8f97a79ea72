/**
 * Writes objects. A small object is one request. A large object is a resumable upload:
 *
 *     open a session ──► send the file ──► stored
 *          ▲                 │  ▲
 *          │     cut, 5xx    ▼  │ from the byte after the last one that arrived
 *          │              wait a while
 *          └── session lost ─┘
 *
 * The checksum is sent with the first request, so that the bucket does not accept corrupted bytes. They never
 * become visible under the object's name.
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { File } from '@google-cloud/storage'
import PQueue from 'p-queue'
import type { LocalFile } from '../../storage/ports.ts'
import { failureOf, isAnswer, isTransient, statusOf } from './bucket-errors.ts'
import type { GcsClient } from './client.ts'
import type { Requests } from './requests.ts'
import { openSession, type Progress, progressOf, sendFrom } from './session.ts'

/** Bytes up to which an object is sent in one request: repeating it costs less than requesting the progress. */
const small = 2 * 1024 * 1024
/** Most small files at a time. Each is completely in memory. */
const smallFiles = 16
/** Most large uploads at a time. A few fill the network connection. */
const largeUploads = 4
/** Bytes read at once for a checksum. */
const readSize = 1024 * 1024
/** Attempts in a row without progress after which an upload fails. */
const mostFailures = 6
/** The longest delay between attempts, as a multiple of the first one. */
const longestDelay = 40

export interface Upload {
  readonly file: File
  readonly content: Uint8Array | LocalFile
  readonly contentType: string
  readonly cacheControl: string
  /** Generation that the object must have, 0 if it must not exist. Absent if any generation is replaced. */
  readonly ifGeneration?: number | string
  /** True to send the object at once, even if the limit of requests is reached. */
  readonly isUrgent?: boolean
}

export class Uploads {
  readonly #client: GcsClient
  readonly #requests: Requests
  readonly #small = new PQueue({ concurrency: smallFiles })
  readonly #large = new PQueue({ concurrency: largeUploads })

  constructor(client: GcsClient, requests: Requests) {
    this.#client = client
    this.#requests = requests
  }

  /**
   * Stores the whole object or nothing.
   * @returns the generation of the object
   * @throws an error with status 412 when the object has another generation; Failure unavailable
   */
  async send(upload: Upload): Promise<string> {
    const { content } = upload
    if (!('path' in content)) return this.#sendBytes(upload, content)
    if (content.size <= small) {
      const { path, md5 } = content
      return this.#small.add(async () => this.#sendBytes(upload, await readFile(path), md5))
    }
    return this.#large.add(() => this.#sendFile(upload, content))
  }

  async #sendBytes(upload: Upload, bytes: Uint8Array, md5?: string): Promise<string> {
    const { file, isUrgent } = upload
    const md5Hash = md5 ?? createHash('md5').update(bytes).digest('base64')
    const request = () =>
      file.save(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
        resumable: false,
        validation: false,
        metadata: metadataOf(upload, md5Hash),
        preconditionOpts: preconditionOf(upload),
      })
    await this.#requests.send(request, { isUrgent: isUrgent ?? false })
    return String(file.metadata.generation)
  }

  async #sendFile(upload: Upload, content: LocalFile): Promise<string> {
    const md5Hash = content.md5 ?? (await md5Of(content.path))
    let session = await this.#openSession(upload, content, md5Hash)
    let next: number | 'unknown' = 0
    let arrived = 0
    for (let failures = 0; ; ) {
      try {
        const progress: Progress =
          next === 'unknown'
            ? await progressOf(this.#client, content, session)
            : await sendFrom(this.#client, next, content, session)
        this.#requests.noteOutcome()
        if (progress.done) return progress.generation
        // Only attempts without any progress count as failures: a bad connection may break many times.
        if (progress.next > arrived) failures = 0
        else if (next !== 'unknown') throw new Error('the bucket accepts no further bytes')
        next = arrived = progress.next
      } catch (error) {
        const isSessionLost = [404, 410].includes(statusOf(error) ?? 0)
        if (!isSessionLost) this.#requests.noteOutcome(error)
        const mayHelp = isSessionLost || (!isAnswer(error) && isTransient(error))
        if (!mayHelp || failures >= mostFailures || !this.#requests.mayRetry()) {
          throw isAnswer(error) ? error : failureOf(upload.file.bucket.name, error)
        }
        await sleep(this.#requests.retryDelay * delayFactor(failures))
        failures += 1
        next = 'unknown'
        if (isSessionLost) {
          session = await this.#openSession(upload, content, md5Hash)
          next = arrived = 0
        }
      }
    }
  }

  #openSession(upload: Upload, { size }: LocalFile, md5Hash: string): Promise<string> {
    const { bucket, name: key } = upload.file
    const metadata = metadataOf(upload, md5Hash)
    return this.#requests.send(() =>
      openSession(this.#client, {
        bucket: bucket.name,
        key,
        size,
        metadata,
        ...preconditionOf(upload),
      }),
    )
  }
}

/** Returns a factor that doubles with each failure, and is spread at random. */
function delayFactor(failures: number): number {
  return Math.min(2 ** failures, longestDelay) * (0.5 + Math.random() / 2)
}

function metadataOf({ contentType, cacheControl }: Upload, md5Hash: string) {
  return { contentType, cacheControl, md5Hash }
}

function preconditionOf({ ifGeneration }: Upload) {
  return ifGeneration === undefined ? {} : { ifGenerationMatch: ifGeneration as number }
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5')
  for await (const bytes of createReadStream(path, { highWaterMark: readSize })) hash.update(bytes)
  return hash.digest('base64')
}
