/** Slipway's HTTP application on a free port, over the services that a test gives. */
import { once } from 'node:events'
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  request,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { createApp } from '../../service/http/app.ts'
import { allowAll } from '../../service/http/authorise.ts'
import type { HttpServices } from '../../service/http/services.ts'
import { Failure } from '../../service/image/errors.ts'
import { trackedRepository } from '../../service/source/tracked-repository.ts'
import type { Log } from '../../service/telemetry/ports.ts'
import { RecordingLog } from './recording-log.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Parses the body as JSON. */
  json(): unknown
}

/** A list of values is sent as one header line for each value. */
export type RequestHeaders = Record<string, string | string[]>

/** Services in the place of those that have nothing to answer. */
export type GivenServices = {
  readonly [Family in 'registry' | 'webhooks' | 'status' | 'ops']?: Partial<HttpServices[Family]>
} & Partial<Pick<HttpServices, 'authorise' | 'log'>>

export class AppServer implements AsyncDisposable {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(given: GivenServices = {}): Promise<AppServer> {
    const empty = emptyServices(given.log ?? new RecordingLog())
    const app = createApp({
      registry: { ...empty.registry, ...given.registry },
      webhooks: { ...empty.webhooks, ...given.webhooks },
      status: { ...empty.status, ...given.status },
      ops: { ...empty.ops, ...given.ops },
      authorise: given.authorise ?? empty.authorise,
      log: empty.log,
    })
    return AppServer.listen(app)
  }

  static async listen(app: RequestListener): Promise<AppServer> {
    const server = createServer(app)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new AppServer(server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Sends a request on a connection of its own, with the path and the headers exactly as given. */
  send(method: string, path: string, headers: RequestHeaders = {}): Promise<Answer> {
    const outgoing = request(`${this.url}/`, { method, path, headers, agent: false })
    outgoing.end()
    return answerTo(outgoing)
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
    await once(this.#server, 'close')
  }
}

/** Reads the answer to a request to its end. */
export async function answerTo(outgoing: ClientRequest): Promise<Answer> {
  const [incoming] = await once(outgoing, 'response')
  const body = await buffer(incoming)
  return {
    status: incoming.statusCode,
    headers: incoming.headers,
    body,
    json: () => JSON.parse(body.toString()),
  }
}

/** Headers that do not depend on the content: the time, and the state of the connection. */
const connectionHeaders = new Set(['date', 'connection', 'keep-alive'])

/** Returns the headers that describe the content. */
export function contentHeaders({ headers }: Answer): IncomingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !connectionHeaders.has(name)),
  )
}

/** Returns the services of an instance without images, builds and webhooks. */
export function emptyServices(log: Log): HttpServices {
  const source = { status: () => ({ ready: true }), tags: () => [], version: undefined }
  return {
    registry: {
      pull: {
        byTag: async () => {
          throw new Failure('manifest-unknown', 'there is no image')
        },
        byDigest: async () => undefined,
        repeated() {},
      },
      images: {
        holds: () => false,
        holdsDocument: () => false,
        sizeOf: () => undefined,
        forgetBlob() {},
      },
      blobs: {
        stat: async () => undefined,
        send: async () => false,
        readWhole: async () => undefined,
        url: async () => undefined,
      },
      catalog: { names: async () => [] },
      source,
      onPull() {},
      onBlobBytes() {},
    },
    webhooks: { repository: trackedRepository('', []), request() {}, onOutcome() {} },
    status: { builds: { recent: () => [], get: async () => undefined }, source, retry() {} },
    ops: {
      source,
      storage: { outage: () => undefined },
      metrics: { contentType: 'text/plain', text: async () => '' },
    },
    authorise: allowAll,
    log,
  }
}
