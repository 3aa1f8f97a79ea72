/** Some middleware alone, on a free port. */
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa, { type Middleware } from 'koa'
import type { Answer, RequestHeaders } from './registry-server.ts'
import { answerTo } from './webhook-server.ts'

export class MiddlewareServer implements AsyncDisposable {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(...middleware: readonly Middleware[]): Promise<MiddlewareServer> {
    const app = new Koa()
    app.silent = true
    for (const each of middleware) app.use(each)
    const server = createServer(app.callback())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new MiddlewareServer(server)
  }

  /** A request on a connection of its own, its path and headers exactly as given. */
  send(method: string, path: string, headers: RequestHeaders = {}): Promise<Answer> {
    const { port } = this.#server.address() as AddressInfo
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false })
    outgoing.end()
    return answerTo(outgoing)
  }

  get(path: string, headers?: RequestHeaders): Promise<Answer> {
    return this.send('GET', path, headers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
