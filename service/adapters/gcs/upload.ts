/**
 * Writing an object. What is small is one request. What is large is a resumable upload:
 *
 *     open a session ──► send the file ──► stored
 *          ▲                 │  ▲
 *          │     cut, 5xx    ▼  │ from the byte after the last that arrived
 *          │              wait a while
 *          └── session lost ─┘
 *
 * The checksum is sent with the first request, so that the bucket itself refuses what arrived wrong, and
 * nobody ever sees it under its name.
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { File } from '@google-cloud/storage'
import PQueue from 'p-queue'
import type { LocalFile } from '../../storage/ports.ts'
import { failureOf, isAnswer, mayPass, statusOf } from './fault.ts'
import type { Requests } from './requests.ts'
import { type Progress, progressOf, sendFrom } from './session.ts'

/** Bytes up to which one request beats two: sending them again costs less than asking how many arrived. */
const small = 2 * 1024 * 1024
/** Small files at a time: each is whole in memory. */
const smallFiles = 16
/** Large uploads at a time: few fill a line. */
const largeUploads = 4
const readSize = 1024 * 1024
/** Attempts in a row that brought no byte further. */
const mostFailures = 6
/** Milliseconds before going on after a cut, doubled each time, and spread at random. */
const firstDelay = 250
const longestDelay = 8000

/** Who reads a blob may keep it for ever: its name is its digest. */
export const immutable = 'public, max-age=31536000, immutable'

export interface Upload {
  readonly file: File
  readonly content: Uint8Array | LocalFile
  readonly contentType: string
  readonly cacheControl: string
  /** Generation that the object must have: 0 for none. Absent if it does not matter. */
  readonly ifGeneration?: number | string
  /** Waits behind nothing else. */
  readonly isUrgent?: boolean
}

export class Uploads {
  readonly #requests: Requests
  readonly #small = new PQueue({ concurrency: smallFiles })
  readonly #large = new PQueue({ concurrency: largeUploads })

  constructor(requests: Requests) {
    this.#requests = requests
  }

  /**
   * Stores all of it or nothing.
   * @returns the generation of the object
   * @throws an error with status 412, when the object does not have that generation; Failure unavailable
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
    return generationOf(file)
  }

  async #sendFile(upload: Upload, content: LocalFile): Promise<string> {
    const md5Hash = content.md5 ?? (await md5Of(content.path))
    let session = await this.#open(upload, content, md5Hash)
    let next: number | 'unknown' = 0
    let arrived = 0
    for (let failures = 0; ; ) {
      try {
        const progress: Progress =
          next === 'unknown'
            ? await progressOf(content, session)
            : await sendFrom(next, content, session)
        this.#requests.note()
        if (progress.done) return progress.generation
        // Only what brings nothing at all counts: a line that breaks now and then is a line.
        if (progress.next > arrived) failures = 0
        else if (next !== 'unknown') throw new Error('it takes no further bytes')
        next = arrived = progress.next
      } catch (error) {
        const isLost = [404, 410].includes(statusOf(error) ?? 0)
        if (!isLost) this.#requests.note(error)
        const helps = isLost || (!isAnswer(error) && mayPass(error))
        if (!helps || failures >= mostFailures || !this.#requests.mayRetry()) {
          throw isAnswer(error) ? error : failureOf(upload.file.bucket.name, error)
        }
        await sleep(pause(failures))
        failures += 1
        next = 'unknown'
        if (isLost) {
          session = await this.#open(upload, content, md5Hash)
          next = arrived = 0
        }
      }
    }
  }

  #open(upload: Upload, { size }: LocalFile, md5Hash: string): Promise<string> {
    return this.#requests.send(async () => {
      const metadata = { ...metadataOf(upload, md5Hash), contentLength: size }
      const preconditionOpts = preconditionOf(upload)
      const [uri] = await upload.file.createResumableUpload({ metadata, preconditionOpts })
      return uri
    })
  }
}

/** Milliseconds to wait after so many failures. */
function pause(failures: number): number {
  return Math.min(firstDelay * 2 ** failures, longestDelay) * (0.5 + Math.random() / 2)
}

function metadataOf({ contentType, cacheControl }: Upload, md5Hash: string) {
  return { contentType, cacheControl, md5Hash }
}

function preconditionOf({ ifGeneration }: Upload) {
  return ifGeneration === undefined ? {} : { ifGenerationMatch: ifGeneration as number }
}

function generationOf({ metadata }: File): string {
  return String(metadata.generation)
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5')
  for await (const bytes of createReadStream(path, { highWaterMark: readSize })) hash.update(bytes)
  return hash.digest('base64')
}
