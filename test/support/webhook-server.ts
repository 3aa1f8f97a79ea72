/** Slipway's HTTP application on a free port, with webhooks. */
import { type ClientRequest, request } from 'node:http'
import type { WebhookServices } from '../../service/http/services.ts'
import { trackedRepository } from '../../service/source/tracked-repository.ts'
import { type Answer, AppServer, answerTo, type RequestHeaders } from './app-server.ts'
import { RecordingLog } from './recording-log.ts'

export interface WebhookServerOptions extends Partial<Omit<WebhookServices, 'repository'>> {
  /** The URL that is tracked. */
  readonly repository?: string
  /** Further URLs of the tracked repository. */
  readonly others?: readonly string[]
}

/** Log fields of a delivery that requested a reconcile. */
export interface AcceptedDelivery {
  readonly provider: string
  readonly event: string
  /** Full names of the first refs that changed. */
  readonly refs: readonly string[]
  readonly refCount: number
  readonly delivery?: string
}

export class WebhookServer implements AsyncDisposable {
  readonly log = new RecordingLog()
  /** The delivery that requested each reconcile, in order. */
  readonly reconciles: AcceptedDelivery[] = []
  /** `provider outcome` of each delivery. */
  readonly outcomes: string[] = []
  #app: AppServer | undefined

  private constructor() {}

  static async start({
    repository = 'https://github.com/Codertocat/Hello-World.git',
    others = [],
    ...options
  }: WebhookServerOptions = {}): Promise<WebhookServer> {
    const server = new WebhookServer()
    const { log, reconciles, outcomes } = server
    server.#app = await AppServer.start({
      webhooks: {
        secret: 's3cret of the hook',
        repository: trackedRepository(repository, others),
        request: () => {
          const accepted = log.lines.findLast(({ message }) => message === 'webhook accepted')
          reconciles.push(accepted?.fields as AcceptedDelivery)
        },
        onOutcome: (provider, outcome) => outcomes.push(`${provider} ${outcome}`),
        ...options,
      },
      log,
    })
    return server
  }

  get url(): string {
    return this.#app?.url ?? ''
  }

  /** Opens a request on a connection of its own; the caller writes the body. */
  open(path: string, headers: RequestHeaders, method = 'POST'): ClientRequest {
    const kept = { Connection: 'keep-alive', ...headers }
    const outgoing = request(this.url + path, { method, headers: kept, agent: false })
    // The server may close the connection before it has read everything.
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
    await this.#app?.[Symbol.asyncDispose]()
  }
}
