/** Clients that take a blob as slowly as over a bad line. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Bytes that each takes at a time, and the milliseconds until the next: 0.6 MB/s. */
const portion = 64 * 1024
const interval = 100

export class SlowReaders implements Disposable {
  readonly #sockets: readonly Socket[]
  readonly #timer: NodeJS.Timeout

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets
    this.#timer = setInterval(() => {
      // What is not read stays with the sender, when the buffers in between are full.
      for (const socket of sockets) socket.read(Math.min(portion, socket.readableLength))
    }, interval)
  }

  /**
   * Asks for the URL over so many connections.
   * @throws Error if an answer is not 200
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
