/** A TCP proxy that can stop answering, like a remote whose network hangs. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export class HangingProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>()
  readonly #held = new Set<Socket>()
  #hanging = false
  readonly #server

  private constructor(target: number) {
    this.#server = createServer((client) => {
      this.#watch(client)
      if (this.#hanging) {
        this.#held.add(client)
        return
      }
      const upstream = this.#watch(connect(target, '127.0.0.1'))
      client.pipe(upstream).pipe(client)
      client.on('close', () => upstream.destroy())
    })
  }

  /** @param target port on the loopback interface */
  static async start(target: number): Promise<HangingProxy> {
    const proxy = new HangingProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Number of connections that wait for an answer. */
  get held(): number {
    return this.#held.size
  }

  /** Accepts new connections, and does not answer them. */
  hang(): void {
    this.#hanging = true
  }

  /** Cuts the hanging connections, and still does not answer new ones. */
  cut(): void {
    for (const socket of this.#held) socket.destroy()
  }

  /** Answers new connections again. */
  goOn(): void {
    this.#hanging = false
    this.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #watch(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket
      .on('error', () => {})
      .on('close', () => {
        this.#sockets.delete(socket)
        this.#held.delete(socket)
      })
  }
}
