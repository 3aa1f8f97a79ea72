/** A TCP proxy that cuts one connection in the middle of a large response. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy extends AsyncDisposable {
  /** Host and port for image names: `localhost:12345`. */
  readonly registry: string
  readonly url: string
  /** Number of connections that were cut: 0 or 1. */
  readonly cuts: () => number
}

/**
 * @param target port on the loopback interface
 * @param limit bytes after which a connection is cut. Only the first connection that reaches the limit is cut
 */
export async function cuttingProxy(target: number, limit: number): Promise<CuttingProxy> {
  let cuts = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let carried = 0
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket)
          client.destroy()
          upstream.destroy()
        })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      carried += chunk.length
      if (cuts === 0 && carried > limit) {
        cuts = 1
        client.destroy()
      } else if (!client.write(chunk)) {
        upstream.pause()
        client.once('drain', () => upstream.resume())
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    registry: `localhost:${port}`,
    url: `http://127.0.0.1:${port}`,
    cuts: () => cuts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
