/**
 * A server that behaves as Google Cloud Storage does towards its client library: the JSON API, and the
 * XML API as far as URLs of objects go. It checks what it gets, fails when it is told to, and keeps a
 * ledger. Content lives in files, so objects may be large.
 *
 * @example
 * await using emulator = await GcsEmulator.start({ bucket: 'layers' })
 * const storage = new Storage({ apiEndpoint: emulator.url, credentials: emulator.credentials })
 * emulator.fail(503, 2, (request) => request.kind === 'upload')
 */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allPermissions } from './access.ts'
import { Bucket } from './bucket.ts'
import { control, controlPath } from './control.ts'
import { Faults, type Match } from './faults.ts'
import { applicationDefaultCredentials } from './identity.ts'
import { Ledger, type RequestKind, type RequestRecord } from './ledger.ts'
import { serve } from './serve-request.ts'
import type { Checksumming, Service, Settings } from './service.ts'
import {
  keyFile,
  newServiceAccount,
  type ServiceAccount,
  type ServiceAccountKey,
  serviceAccountOf,
} from './service-account.ts'
import { Sessions } from './sessions.ts'
import type { ObjectFields } from './stored-object.ts'
import { Tokens } from './tokens.ts'

export type { Match } from './faults.ts'
export type { RequestKind, RequestRecord } from './ledger.ts'
export type { Checksumming, Settings } from './service.ts'
export type { ServiceAccountKey } from './service-account.ts'

export interface EmulatorOptions extends Partial<Omit<Settings, 'permissions' | 'clock'>> {
  readonly bucket: string
  /** @default a free one */
  readonly port?: number
  /** @default 'both' */
  readonly checksumming?: Checksumming
  /** Where the folder for content is made. @default that of the system for temporary files */
  readonly folder?: string
  /** @default a new one */
  readonly credentials?: ServiceAccountKey
}

export interface ObjectSummary {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly generation: number
  readonly metageneration: number
  readonly contentType: string | undefined
  readonly cacheControl: string | undefined
}

/** Objects on a page, at most, of the real service. */
const realPageSize = 1000

export class GcsEmulator implements AsyncDisposable {
  readonly settings: Settings
  readonly #service: Service
  readonly #folder: string
  readonly #account: ServiceAccount
  readonly #ledger = new Ledger()
  readonly #faults = new Faults()
  readonly #bucket: Bucket
  readonly #sessions = new Sessions()
  readonly #running = new Set<Promise<void>>()
  #server: Server | undefined
  #port: number

  private constructor(options: EmulatorOptions, account: ServiceAccount, folder: string) {
    this.#folder = folder
    this.#account = account
    this.#port = options.port ?? 0
    this.settings = {
      publicRead: options.publicRead ?? false,
      requireAuthorization: options.requireAuthorization ?? false,
      permissions: new Set(allPermissions),
      pageSize: options.pageSize ?? realPageSize,
      clock: 0,
    }
    const now = () => Date.now() + this.settings.clock
    this.#bucket = new Bucket(options.bucket, folder, now)
    const url = () => this.url
    this.#service = {
      get url() {
        return url()
      },
      bucket: this.#bucket,
      sessions: this.#sessions,
      faults: this.#faults,
      ledger: this.#ledger,
      account,
      tokens: new Tokens(account, now),
      settings: this.settings,
      checksumming: options.checksumming ?? 'both',
      now,
    }
  }

  static async start(options: EmulatorOptions): Promise<GcsEmulator> {
    const { credentials, folder = tmpdir() } = options
    const account = credentials ? serviceAccountOf(credentials) : await newServiceAccount()
    const content = await mkdtemp(join(folder, 'gcs-emulator-'))
    const emulator = new GcsEmulator(options, account, content)
    await emulator.start()
    return emulator
  }

  /** After `stop`: on the same port, with the same objects and sessions. */
  async start(): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response))
    // A client may be slow, and a connection that it keeps must not end just when it is used again.
    server.requestTimeout = 0
    server.keepAliveTimeout = 0
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** An outage: connections are cut, new ones refused. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
    await Promise.allSettled(this.#running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The key file of the account whose signatures and tokens are good here. */
  get credentials(): ServiceAccountKey {
    return keyFile(this.#account, this.url)
  }

  async writeKey(path: string): Promise<void> {
    await writeFile(path, JSON.stringify(this.credentials), { mode: 0o600 })
  }

  /** For `GOOGLE_APPLICATION_CREDENTIALS`: no key in it, signatures come from the emulator. */
  async writeKeylessCredentials(
    path: string,
    type: 'impersonated_service_account' | 'external_account' = 'impersonated_service_account',
  ): Promise<void> {
    const content = applicationDefaultCredentials(type, this.#account.email, this.url)
    await writeFile(path, JSON.stringify(content))
  }

  /** Milliseconds that the service's clock is ahead of this machine's. */
  get clock(): number {
    return this.settings.clock
  }

  set clock(milliseconds: number) {
    this.settings.clock = milliseconds
  }

  // The ledger.

  get requests(): readonly RequestRecord[] {
    return this.#ledger.requests
  }

  counts(): Partial<Record<RequestKind, number>> {
    return this.#ledger.counts()
  }

  /** Mistakes in what clients sent. Faults are none, and nothing but `clearViolations` takes one away. */
  get violations(): readonly string[] {
    return this.#ledger.violations
  }

  clearViolations(): void {
    this.#ledger.violations.length = 0
  }

  resetLedger(): void {
    this.#ledger.requests.length = 0
  }

  // The bucket, past the API.

  objects(): ObjectSummary[] {
    return this.#bucket.all().map(({ key, size, generation, metageneration, fields }) => {
      const { contentType, cacheControl } = fields
      return { name: key, size, generation, metageneration, contentType, cacheControl }
    })
  }

  /** @throws {ServiceError} if there is no such object */
  read(name: string): Buffer {
    return this.#bucket.read(name)
  }

  writeObject(name: string, content: Uint8Array | string, fields: ObjectFields = {}): void {
    this.#bucket.putBytes(name, Buffer.from(content), fields)
  }

  deleteObject(name: string): void {
    this.#bucket.delete(this.#bucket.get(name))
  }

  /** As if somebody had uploaded only the beginning of it over it. @param size bytes */
  truncate(name: string, size: number): void {
    const { fields } = this.#bucket.get(name)
    this.#bucket.putBytes(name, this.read(name).subarray(0, size), fields)
  }

  // Faults, each for the next so many requests that match.

  /** Refused without the work being done. */
  fail(status: number, times = 1, match?: Match): void {
    this.#faults.arm({ what: 'fail', status }, times, match)
  }

  delay(milliseconds: number, times = Number.POSITIVE_INFINITY, match?: Match): void {
    this.#faults.arm({ what: 'delay', milliseconds }, times, match)
  }

  /** Of a resumable upload the whole blocks of 256 KiB that had arrived survive. */
  cutUploads(fault: { afterBytes: number; times?: number; match?: Match }): void {
    const { afterBytes, times = 1, match } = fault
    this.#faults.arm({ what: 'cut-upload', afterBytes }, times, match)
  }

  cutDownloads(fault: { afterBytes: number; times?: number; match?: Match }): void {
    const { afterBytes, times = 1, match } = fault
    this.#faults.arm({ what: 'cut-download', afterBytes }, times, match)
  }

  /** A bit changes on the way in: the service stores, and gives the checksum of, what it got. */
  corruptUploads(times = 1, match?: Match): void {
    this.#faults.arm({ what: 'corrupt-upload' }, times, match)
  }

  /** A bit changes on the way out: the checksum that goes with it is of what is stored. */
  corruptDownloads(times = 1, match?: Match): void {
    this.#faults.arm({ what: 'corrupt-download' }, times, match)
  }

  /** Work is done, but who asked for it sees only a broken connection. */
  loseAnswers(times = 1, match?: Match): void {
    this.#faults.arm({ what: 'lose-answer' }, times, match)
  }

  /** Of all resumable uploads, finished ones too. */
  forgetSessions(status: 404 | 410 = 410): void {
    this.#sessions.forget(status)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const controlled = request.url?.startsWith(controlPath)
    const work = (
      controlled ? control(this, request, response) : serve(this.#service, request, response)
    )
      // Of a connection that was cut there is nobody to tell.
      .catch(() => request.socket.destroy())
      .then(() => {
        this.#running.delete(work)
      })
    this.#running.add(work)
  }
}
