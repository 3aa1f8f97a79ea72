/** An HTTP proxy that records the requests and tunnels of its clients. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

export interface RecordingProxyOptions {
  /** `user:password` that clients must send. */
  readonly credentials?: string
  /**
   * Answers tunnels to other hosts than this machine: ends their TLS with this certificate, and passes the
   * plain bytes to this port. Without it, such tunnels are refused with 502.
   */
  readonly tlsTarget?: { readonly port: number; readonly cert: string; readonly key: string }
}

export class RecordingProxy implements AsyncDisposable {
  /** Each request: `CONNECT example.com:443`, `GET http://127.0.0.1:8080/path`. */
  readonly requests: string[] = []
  readonly #options: RecordingProxyOptions
  readonly #sockets = new Set<Duplex>()
  readonly #server = createServer((incoming, outgoing) => this.#forward(incoming, outgoing))

  private constructor(options: RecordingProxyOptions) {
    this.#options = options
  }

  static async start(options: RecordingProxyOptions = {}): Promise<RecordingProxy> {
    const proxy = new RecordingProxy(options)
    proxy.#server.on('connect', (incoming, client) => proxy.#tunnel(incoming, client))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** URL without credentials. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { url = '', method = '', headers } = incoming
    if (!this.#isAllowed(incoming)) {
      outgoing.writeHead(407).end()
      return
    }
    this.requests.push(`${method} ${url}`)
    const forwarded = request(url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.pipe(forwarded)
  }

  #tunnel(incoming: IncomingMessage, client: Duplex): void {
    this.#watch(client)
    const { url = '' } = incoming
    if (!this.#isAllowed(incoming)) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    this.requests.push(`CONNECT ${url}`)
    const [host, port] = url.split(':')
    const { tlsTarget } = this.#options
    const isLocal = host === '127.0.0.1'
    if (!isLocal && tlsTarget === undefined) {
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    const target = isLocal ? Number(port) : (tlsTarget?.port ?? 0)
    const upstream = this.#watch(connect(target, '127.0.0.1'))
    upstream.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      const plain = isLocal
        ? client
        : this.#watch(new TLSSocket(client as Socket, { ...tlsTarget, isServer: true }))
      plain.pipe(upstream).pipe(plain)
    })
  }

  #isAllowed({ headers }: IncomingMessage): boolean {
    const { credentials } = this.#options
    if (credentials === undefined) return true
    const expected = `Basic ${Buffer.from(credentials).toString('base64')}`
    return headers['proxy-authorization'] === expected
  }

  #watch<T extends Duplex>(socket: T): T {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket))
    return socket
  }
}
