/**
 * Popularity from a JSON document at a URL: `{ "zlib": 1250, "glibc-2.40": 9000 }`. Read at the start
 * and daily; when that fails, the copy of the last good one goes on being used.
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
import type { Log } from '../../telemetry/ports.ts'
import { scrub } from '../../text/scrub.ts'
import { type RemoteAnswer, readRemote, wholeBody } from './remote-document.ts'

/** Milliseconds. */
const refreshInterval = 24 * 3600 * 1000
/** Milliseconds until the next attempt after one that failed. */
const retryInterval = 3600 * 1000
/** Milliseconds that a start without any copy waits: plans made before the counts come are kept for good. */
const defaultStartLimit = 5000
/** Milliseconds. */
const idleTimeout = 30_000
/** Bytes; nixpkgs' 100,000 packages take 3 MB. */
const defaultLimit = 64 * 1024 * 1024

const countsSchema = z.record(z.string(), z.number().nonnegative())
const copySchema = z.object({ etag: z.string().optional(), counts: countsSchema })

export interface PopularityDocumentOptions {
  /** `https:`, `http:` or `file:`; may hold credentials. */
  readonly url: string
  /** For the last copy. */
  readonly folder: string
  readonly log: Log
  /** Milliseconds. @default 5000 */
  readonly startLimit?: number
  /** Most bytes of the document. @default 64 MiB */
  readonly limit?: number
}

export class PopularityDocument implements PopularitySource {
  readonly #options: PopularityDocumentOptions
  readonly #copy: string
  readonly #closing = new AbortController()
  #popularity = noPopularity
  #etag: string | undefined
  #failure: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: PopularityDocumentOptions) {
    this.#options = options
    // One for each URL: the ETag of one says nothing about another.
    const name = createHash('sha256').update(options.url).digest('hex').slice(0, 16)
    this.#copy = join(options.folder, `${name}.json`)
  }

  /** Uses the last copy at once; without one waits for the first answer, but not for long. Never throws. */
  async start(): Promise<void> {
    await this.#readCopy()
    const first = this.refresh()
    if (this.#popularity !== noPopularity) return
    const limit = Promise.withResolvers<void>()
    const timer = setTimeout(limit.resolve, this.#options.startLimit ?? defaultStartLimit)
    await Promise.race([first, limit.promise])
    clearTimeout(timer)
  }

  /** Nothing is fetched any more; what is under way ends. */
  stop(): void {
    this.#closing.abort(new Error('the service is shutting down'))
    clearTimeout(this.#timer)
  }

  current(): Popularity {
    return this.#popularity
  }

  /** Reads the document now, and again when its time has come. Never throws. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer)
    const failed = await this.#read().then(
      () => undefined,
      (error) => scrub(messageOf(error)),
    )
    if (this.#closing.signal.aborted) return
    this.#tell(failed)
    const wait = failed === undefined ? refreshInterval : retryInterval
    this.#timer = setTimeout(() => this.refresh(), wait).unref()
  }

  async #read(): Promise<void> {
    const { url, limit = defaultLimit } = this.#options
    if (url.startsWith('file:')) return this.#adopt(await readLimited(fileURLToPath(url), limit))
    const headers: Record<string, string> =
      this.#etag === undefined ? {} : { 'If-None-Match': this.#etag }
    const options = { headers, limit, idleTimeout, signal: this.#closing.signal }
    await readRemote(url, options, async (answer) => {
      if (answer.status === 304) return
      if (answer.status !== 200) throw new Error(`the server answered ${answer.status}`)
      await this.#adopt(await wholeBody(answer), etagOf(answer))
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

  #tell(failure: string | undefined): void {
    const { log } = this.#options
    if (failure === undefined && this.#failure !== undefined) {
      log.info({}, 'NIX_POPULARITY_URL can be read again')
    }
    // Of a state that lasts, once is enough.
    if (failure !== undefined && this.#failure === undefined) {
      const rest = this.#popularity === noPopularity ? 'none is used' : 'the last copy is used'
      log.warn({ failure }, `NIX_POPULARITY_URL cannot be read; ${rest}`)
    }
    this.#failure = failure
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

  /** A copy that cannot be written is missed only at the next start without a network. */
  async #writeCopy(copy: z.infer<typeof copySchema>): Promise<void> {
    const partial = `${this.#copy}.${randomUUID()}`
    try {
      await mkdir(dirname(this.#copy), { recursive: true })
      await writeFile(partial, JSON.stringify(copy), { flush: true })
      await rename(partial, this.#copy)
    } catch (error) {
      const failure = messageOf(error)
      this.#options.log.warn({ failure }, 'no copy of the popularity could be written')
      await rm(partial, { force: true }).catch(() => {})
    }
  }
}

/** @throws Error that says what is wrong, and where */
function countsIn(document: Buffer): Record<string, number> {
  const { data, error } = countsSchema.safeParse(parsed(document))
  if (data !== undefined) return data
  const issue = error.issues[0]
  const place = issue?.path.length ? ` (${JSON.stringify(String(issue.path[0]))})` : ''
  throw new Error(
    `it must be a JSON object of package names and counts, numbers from 0 on${place}: ${issue?.message}`,
  )
}

function parsed(document: Buffer): unknown {
  try {
    return JSON.parse(document.toString())
  } catch {
    throw new Error('it is not JSON')
  }
}

function etagOf({ headers }: RemoteAnswer): string | undefined {
  return headers.get('etag') ?? undefined
}

async function readLimited(path: string, limit: number): Promise<Buffer> {
  // Not by its size, which of a pipe or of what is being written says nothing.
  const chunks: Buffer[] = await Array.fromAsync(createReadStream(path, { end: limit }))
  const document = Buffer.concat(chunks)
  if (document.length > limit) throw new Error(`it has more than ${limit} bytes`)
  return document
}
