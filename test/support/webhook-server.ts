/** The webhook middleware alone, on a free port. */

import { once } from 'node:events'
import { type ClientRequest, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import Koa from 'koa'
import {
  type WebhookOptions,
  type WebhookReason,
  webhooks,
} from '../../service/http/webhooks/webhooks.ts'
import { trackedRepository } from '../../service/source/tracked-repository.ts'
import { RecordingLog } from './recording-log.ts'
import type { Answer, RequestHeaders } from './registry-server.ts'

export interface WebhookServerOptions extends Partial<Omit<WebhookOptions, 'repository'>> {
  /** The URL that is tracked. */
  readonly repository?: string
  /** Further URLs of the tracked repository. */
  readonly others?: readonly string[]
}

export class WebhookServer implements AsyncDisposable {
  readonly log = new RecordingLog()
  /** Each reconcile that was asked for. */
  readonly reasons: WebhookReason[] = []
  /** `provider outcome` of each delivery. */
  readonly outcomes: string[] = []
  readonly #server: Server

  private constructor({ repository, others, ...options }: WebhookServerOptions) {
    const app = new Koa()
    app.use(
      webhooks({
        secret: 's3cret of the hook',
        repository: trackedRepository(
          repository ?? 'https://github.com/Codertocat/Hello-World.git',
          others ?? [],
        ),
        request: (reason) => this.reasons.push(reason),
        log: this.log,
        onOutcome: (provider, outcome) => this.outcomes.push(`${provider} ${outcome}`),
        ...options,
      }),
    )
    app.on('error', (error) => this.log.error({ err: error }, 'answer failed'))
    this.#server = createServer(app.callback())
  }

  static async start(options: WebhookServerOptions = {}): Promise<WebhookServer> {
    const server = new WebhookServer(options)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** A request whose body is yet to be written, on a connection of its own. */
  open(path: string, headers: RequestHeaders, method = 'POST'): ClientRequest {
    const kept = { Connection: 'keep-alive', ...headers }
    const outgoing = request(this.url + path, { method, headers: kept, agent: false })
    // The server may hang up before it has read everything.
    return outgoing.on('error', () => {})
  }

  post(path: string, body: string | Uint8Array, headers: RequestHeaders): Promise<Answer> {
    const outgoing = this.open(path, headers)
    outgoing.end(body)
    return answerTo(outgoing)
  }

  /** Everything that was logged, as text. */
  get logged(): string {
    return JSON.stringify(this.log.lines)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

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
