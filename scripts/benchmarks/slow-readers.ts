/** Clients that download a blob slowly, as over a slow connection. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Bytes that each client reads at a time. */
const portion = 64 * 1024
/** Milliseconds between two reads; with `portion`, 0.6 MB/s. */
const interval = 100

export class SlowReaders implements Disposable {
  readonly #sockets: readonly Socket[]
  readonly #timer: NodeJS.Timeout

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets
    this.#timer = setInterval(() => {
      // As soon as all buffers are full, the rest of the response stays in the service.
      for (const socket of sockets) socket.read(Math.min(portion, socket.readableLength))
    }, interval)
  }

  /**
   * Requests the URL over `count` connections.
   * @throws Error if a response is not 200
   */
  static async start(url: string, count: number, signal: AbortSignal): Promise<SlowReaders> {
    const { hostname, port, host, pathname } = new URL(url)
    const sockets: Socket[] = []
    try {
      await Promise.all(
        Array.from({ length: count }, async () => {
          const socket = connect({ host: hostname, port: Number(port) })
          sockets.push(socket)
          await once(socket, 'connect', { signal })
          socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
          await once(socket, 'readable', { signal })
          const first: Buffer | null = socket.read()
          const status = first?.toString('latin1').split('\r\n', 1)[0]
          if (!status?.startsWith('HTTP/1.1 200 ')) throw new Error(`${url}: ${status}`)
        }),
      )
      return new SlowReaders(sockets)
    } catch (error) {
      for (const socket of sockets) socket.destroy()
      throw error
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
  }
}
