/** Slipway's HTTP application on a free port, over a workbench. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { createApp } from '../../service/http/app.ts'
import type { RegistryServices } from '../../service/http/registry/registry.ts'
import { Workbench, type WorkbenchOptions } from './workbench.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body, read as JSON. */
  json(): unknown
}

/** An array is sent as one header line an entry. */
export type RequestHeaders = Record<string, string | string[]>

export interface RegistryServerOptions extends WorkbenchOptions {
  /** Use cases that take the place of the real ones. */
  readonly services?: Partial<RegistryServices>
}

export class RegistryServer implements AsyncDisposable {
  readonly bench: Workbench
  readonly url: string
  readonly #server: Server

  private constructor(bench: Workbench, server: Server) {
    const { port } = server.address() as AddressInfo
    this.bench = bench
    this.#server = server
    this.url = `http://127.0.0.1:${port}`
  }

  static async start(options: RegistryServerOptions = {}): Promise<RegistryServer> {
    const bench = await Workbench.create(options)
    const { pull, images, blobs, catalog, source, log } = bench
    const app = createApp({
      storage: bench.store,
      ...{ pull, images, blobs, catalog, source, log, onPull: () => {}, onBlobBytes: () => {} },
      ...options.services,
    })
    const server = createServer(app)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new RegistryServer(bench, server)
  }

  get log() {
    return this.bench.log
  }

  /** A request on a connection of its own, its path and headers exactly as given. */
  async send(method: string, path: string, headers: RequestHeaders = {}): Promise<Answer> {
    const outgoing = request(`${this.url}/`, { method, path, headers, agent: false })
    outgoing.end()
    const [incoming] = await once(outgoing, 'response')
    const body = await buffer(incoming)
    return {
      status: incoming.statusCode,
      headers: incoming.headers,
      body,
      json: () => JSON.parse(body.toString()),
    }
  }

  get(path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.send('GET', path, headers)
  }

  head(path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.send('HEAD', path, headers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await this.bench[Symbol.asyncDispose]()
  }
}

/** What every answer has of its own: the moment, and what the connection does next. */
const ofTheMoment = new Set(['date', 'connection', 'keep-alive'])

/** The headers that tell of the content. */
export function contentHeaders({ headers }: Answer): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofTheMoment.has(name)))
}

export interface RegistryError {
  readonly code: string
  readonly message: string
  readonly detail: unknown
}

/**
 * The one error of an answer that must be a registry error to the letter.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
export function registryError(answer: Answer): RegistryError {
  const type = answer.headers['content-type']
  if (type !== 'application/json') throw new Error(`an error of type ${type}`)
  const body = answer.json() as { errors: RegistryError[] }
  const [error, ...others] = body.errors
  const shape = error && JSON.stringify([Object.keys(body), Object.keys(error), others])
  if (error === undefined || shape !== '[["errors"],["code","message","detail"],[]]') {
    throw new Error(`not a registry error: ${answer.body}`)
  }
  if (answer.headers['content-length'] !== String(answer.body.length)) {
    throw new Error(`Content-Length ${answer.headers['content-length']} is not its length`)
  }
  return error
}
