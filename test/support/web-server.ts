/** A remote HTTP server on a free port of this machine. A test sets the answer for each path. */
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export class WebServer implements AsyncDisposable {
  /** Answers by path and query. All other paths are answered 404. */
  readonly pages = new Map<string, RequestListener>()
  readonly requests: SeenRequest[] = []
  readonly #server = createServer((request, response) => {
    const path = request.url ?? ''
    this.requests.push({ path, headers: request.headers })
    const page = this.pages.get(path)
    if (page) page(request, response)
    else response.writeHead(404).end('nothing here')
  })

  static async start(): Promise<WebServer> {
    const server = new WebServer()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  serve(path: string, content: string | Uint8Array, status = 200): void {
    this.pages.set(path, (_, response) => response.writeHead(status).end(content))
  }

  redirect(path: string, to: string): void {
    this.pages.set(path, (_, response) => response.writeHead(302, { Location: to }).end())
  }

  /** Announces the whole content, sends the first half of it, then calls `then`. */
  serveHalf(path: string, content: Uint8Array, then: (response: ServerResponse) => void): void {
    this.pages.set(path, (_, response) => {
      response.writeHead(200, { 'Content-Length': content.length })
      response.write(content.subarray(0, content.length / 2), () => then(response))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}
