/** Slipway's HTTP application on a free port, over a workbench. */
import type { Authorise } from '../../service/http/authorise.ts'
import type { RegistryServices } from '../../service/http/services.ts'
import type { Log } from '../../service/telemetry/ports.ts'
import { type Answer, AppServer, type RequestHeaders } from './app-server.ts'
import { Workbench, type WorkbenchOptions } from './workbench.ts'

export interface RegistryServerOptions extends WorkbenchOptions {
  /** Services in the place of the workbench's. */
  readonly services?: Partial<RegistryServices>
  readonly authorise?: Authorise
  /** @default the workbench's log */
  readonly log?: Log
}

export class RegistryServer implements AsyncDisposable {
  readonly bench: Workbench
  readonly #app: AppServer

  private constructor(bench: Workbench, app: AppServer) {
    this.bench = bench
    this.#app = app
  }

  static async start(options: RegistryServerOptions = {}): Promise<RegistryServer> {
    const { services, authorise, ...rest } = options
    const bench = await Workbench.create(rest)
    const { pull, images, blobs, catalog, source, store } = bench
    const app = await AppServer.start({
      registry: { pull, images, blobs, catalog, source, ...services },
      ops: { source, storage: store },
      log: options.log ?? bench.log,
      ...(authorise ? { authorise } : {}),
    })
    return new RegistryServer(bench, app)
  }

  get log() {
    return this.bench.log
  }

  get url(): string {
    return this.#app.url
  }

  /** Sends a request on a connection of its own, with the path and the headers exactly as given. */
  send(method: string, path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.#app.send(method, path, headers)
  }

  get(path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.#app.get(path, headers)
  }

  head(path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.#app.head(path, headers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app[Symbol.asyncDispose]()
    await this.bench[Symbol.asyncDispose]()
  }
}

export interface RegistryError {
  readonly code: string
  readonly message: string
  readonly detail: unknown
}

/**
 * Returns the one error in an answer.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 * @throws Error if the answer is not exactly in the form of the specification
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
