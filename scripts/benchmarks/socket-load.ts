/**
 * Generates load with plain sockets, for HEAD: wrk waits forever for the body that Content-Length announces.
 * These figures cannot be compared with those of wrk, which needs less CPU time for a request.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface SocketLoadOptions {
  readonly url: string
  readonly path: string
  readonly method: 'GET' | 'HEAD'
  readonly connections: number
  readonly seconds: number
  readonly signal: AbortSignal
}

/**
 * Returns requests per second. Each connection sends one request after the other.
 * @throws Error if a response is not 200
 */
export async function socketLoad(options: SocketLoadOptions): Promise<number> {
  const { url, path, method, connections, seconds, signal } = options
  const { hostname, port, host } = new URL(url)
  const request = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true })
      await once(socket, 'connect', { signal })
      return socket
    }),
  )
  const started = performance.now()
  const deadline = started + seconds * 1000
  try {
    const counts = await Promise.all(
      sockets.map((socket) => askUntil(deadline, socket, request, method === 'GET', signal)),
    )
    const responses = counts.reduce((sum, count) => sum + count, 0)
    return (responses * 1000) / (performance.now() - started)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

/** Returns the number of responses until the deadline, including the one that was running then. */
function askUntil(
  deadline: number,
  socket: Socket,
  request: string,
  hasBody: boolean,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0
    let head = ''
    /** Bytes of the body that are still missing; undefined before the end of the headers. */
    let missing: number | undefined
    socket.on('data', (chunk) => {
      if (missing === undefined) {
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        if (!head.startsWith('HTTP/1.1 200 ')) return reject(new Error(head.slice(0, end)))
        const [, length = '0'] = /^content-length: *(\d+)/im.exec(head.slice(0, end)) ?? []
        missing = (hasBody ? Number(length) : 0) - (head.length - end - 4)
      } else {
        missing -= chunk.length
      }
      if (missing > 0) return
      count += 1
      head = ''
      missing = undefined
      if (signal.aborted) reject(signal.reason)
      else if (performance.now() < deadline) socket.write(request)
      else resolve(count)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('a connection was closed')))
    socket.write(request)
  })
}
