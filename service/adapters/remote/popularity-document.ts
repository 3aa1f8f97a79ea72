/**
 * Package popularity from a JSON document at a URL: `{ "zlib": 1250, "glibc-2.40": 9000 }`. The document is
 * read at the start and daily. If that fails, the last copy stays in use.
 */

import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { messageOf } from '../../image/errors.ts'
import { noPopularity, type Popularity, popularityOf } from '../../layering/popularity.ts'
import type { PopularitySource } from '../../layering/ports.ts'
import { OutageLog } from '../../telemetry/outage-log.ts'
import type { Log } from '../../telemetry/ports.ts'
import { scrub } from '../../text/scrub.ts'
import { type RemoteResponse, readRemote, wholeBody } from './remote-document.ts'

/** Milliseconds between reads. */
const refreshInterval = 24 * 3600 * 1000
/** Milliseconds until the next attempt after a failure. */
const retryInterval = 3600 * 1000
/** Milliseconds that a start without a copy waits. A plan that is made without the counts is kept for ever. */
const defaultStartLimit = 5000
/** Milliseconds without a byte after which a read fails. */
const idleTimeout = 30_000
/** Most bytes of the document. The 100,000 packages of nixpkgs take 3 MB. */
const defaultLimit = 64 * 1024 * 1024

const countsSchema = z.record(z.string(), z.number().nonnegative())
const copySchema = z.object({ etag: z.string().optional(), counts: countsSchema })

export interface PopularityDocumentOptions {
  /** An `https:`, `http:` or `file:` URL, which may contain credentials. */
  readonly url: string
  /** Folder of the last copy. */
  readonly folder: string
  readonly log: Log
  /** Milliseconds that a start without a copy waits. @default 5000 */
  readonly startLimit?: number
  /** Most bytes of the document. @default 64 MiB */
  readonly limit?: number
}

export class PopularityDocument implements PopularitySource {
  readonly #options: PopularityDocumentOptions
  readonly #copy: string
  readonly #outages: OutageLog
  readonly #closing = new AbortController()
  #popularity = noPopularity
  #etag: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: PopularityDocumentOptions) {
    this.#options = options
    this.#outages = new OutageLog(options.log)
    // Each URL has a copy of its own, because the ETag in the copy belongs to the URL.
    const name = createHash('sha256').update(options.url).digest('hex').slice(0, 16)
    this.#copy = join(options.folder, `${name}.json`)
  }

  /** Uses the last copy at once. Without a copy, waits a short time for the document. Never throws. */
  async start(): Promise<void> {
    await this.#readCopy()
    const first = this.refresh()
    if (this.#popularity !== noPopularity) return
    const limit = Promise.withResolvers<void>()
    const timer = setTimeout(limit.resolve, this.#options.startLimit ?? defaultStartLimit)
    await Promise.race([first, limit.promise])
    clearTimeout(timer)
  }

  /** Ends the running read and all later ones. */
  stop(): void {
    this.#closing.abort(new Error('the service is shutting down'))
    clearTimeout(this.#timer)
  }

  current(): Popularity {
    return this.#popularity
  }

  /** Reads the document now, and schedules the next read. Never throws. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer)
    const failure = await this.#read().then(
      () => undefined,
      (error) => scrub(messageOf(error)),
    )
    if (this.#closing.signal.aborted) return
    if (failure === undefined) {
      this.#outages.recovered('NIX_POPULARITY_URL can be read again')
    } else {
      const used =
        this.#popularity === noPopularity ? 'no popularity is used' : 'the last copy is used'
      this.#outages.failed({ failure }, `NIX_POPULARITY_URL cannot be read; ${used}`)
    }
    const wait = failure === undefined ? refreshInterval : retryInterval
    this.#timer = setTimeout(() => this.refresh(), wait).unref()
  }

  async #read(): Promise<void> {
    const { url, limit = defaultLimit } = this.#options
    if (url.startsWith('file:')) return this.#adopt(await readLimited(fileURLToPath(url), limit))
    const headers: Record<string, string> =
      this.#etag === undefined ? {} : { 'If-None-Match': this.#etag }
    const options = { headers, limit, idleTimeout, signal: this.#closing.signal }
    await readRemote(url, options, async (response) => {
      if (response.status === 304) return
      if (response.status !== 200) throw new Error(`the server answered ${response.status}`)
      await this.#adopt(await wholeBody(response), etagOf(response))
    })
  }

  async #adopt(document: Buffer, etag?: string): Promise<void> {
    const counts = countsIn(document)
    const before = this.#popularity.version
    this.#popularity = popularityOf(Object.entries(counts))
    this.#etag = etag
    const { version } = this.#popularity
    if (version !== before) {
      this.#options.log.info({ version, packages: this.#popularity.counts.size }, 'popularity read')
    }
    await this.#writeCopy({ etag, counts })
  }

  async #readCopy(): Promise<void> {
    try {
      const { etag, counts } = copySchema.parse(JSON.parse(await readFile(this.#copy, 'utf8')))
      this.#popularity = popularityOf(Object.entries(counts))
      this.#etag = etag
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      this.#options.log.warn({ copy: this.#copy }, 'ignoring a damaged copy of the popularity')
    }
  }

  /** Never throws: the copy is needed only at a start without a network, so a failure is only logged. */
  async #writeCopy(copy: z.infer<typeof copySchema>): Promise<void> {
    const partial = `${this.#copy}.${randomUUID()}`
    try {
      await mkdir(dirname(this.#copy), { recursive: true })
      await writeFile(partial, JSON.stringify(copy), { flush: true })
      await rename(partial, this.#copy)
    } catch (error) {
      const failure = messageOf(error)
      this.#options.log.warn({ failure }, 'cannot write a copy of the popularity')
      await rm(partial, { force: true }).catch(() => {})
    }
  }
}

/** @throws Error that says what is wrong and at which package */
function countsIn(document: Buffer): Record<string, number> {
  const { data, error } = countsSchema.safeParse(parsed(document))
  if (data !== undefined) return data
  const issue = error.issues[0]
  const place = issue?.path.length ? ` (${JSON.stringify(String(issue.path[0]))})` : ''
  throw new Error(
    `it must be a JSON object of package names and counts, which are numbers from 0 on${place}: ${issue?.message}`,
  )
}

function parsed(document: Buffer): unknown {
  try {
    return JSON.parse(document.toString())
  } catch {
    throw new Error('it is not JSON')
  }
}

function etagOf({ headers }: RemoteResponse): string | undefined {
  return headers.get('etag') ?? undefined
}

async function readLimited(path: string, limit: number): Promise<Buffer> {
  // The size of the file is not used: a pipe has none, and a file may still be growing.
  const pieces: Buffer[] = await Array.fromAsync(createReadStream(path, { end: limit }))
  const document = Buffer.concat(pieces)
  if (document.length > limit) throw new Error(`it has more than ${limit} bytes`)
  return document
}
