/** Sends a body piece by piece, as fast as the client reads it. */
import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'

/** Sends one piece. Resolves when the piece may be overwritten. */
export type Take = (piece: Uint8Array) => Promise<void>

/**
 * Sends as many bytes as Content-Length announces, or cuts the connection. With too few bytes, the client would
 * wait for the rest; with too many, it would read the surplus as its next answer. An error before the first byte
 * is thrown, because it can still be answered.
 * @param send passes the pieces to `take`; returns false if there is nothing to send
 * @param onBytes called at the end with the number of bytes that were sent
 * @returns what `send` returned, if no byte was sent
 */
export async function sendExactly(
  ctx: Context,
  length: number,
  send: (take: Take) => Promise<boolean>,
  onBytes: (count: number) => void,
): Promise<boolean> {
  const { res } = ctx
  const client = new Client(res)
  let sent = 0
  const take = async (piece: Uint8Array) => {
    if (sent + piece.length > length) {
      throw new Error(`a blob has more bytes than the ${length} it should have`)
    }
    // From the first byte on, Koa can no longer answer.
    ctx.respond = false
    sent += piece.length
    await client.write(piece)
  }
  try {
    const found = await send(take)
    if (!found && sent === 0) return false
    if (sent < length) throw new Error(`a blob ended ${length - sent} bytes before its end`)
    ctx.respond = false
    res.end()
  } catch (error) {
    if (ctx.respond !== false) throw error
    res.destroy()
    ctx.app.emit('error', error, ctx)
  }
  onBytes(sent)
  return true
}

/** The client, which may close the connection at any time. */
class Client {
  readonly #response: ServerResponse
  /** Rejects the write that is under way. */
  #abort: ((error: Error) => void) | undefined
  #closed: Error | undefined

  constructor(response: ServerResponse) {
    this.#response = response
    response.once('close', () => {
      const error = new Error('the client closed the connection')
      this.#closed = Object.assign(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
      this.#abort?.(this.#closed)
    })
  }

  /** Resolves when the piece may be overwritten. @throws Error when the connection is closed */
  write(piece: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed)
      this.#abort = reject
      this.#response.write(piece, (error) => (error ? reject(error) : resolve()))
    })
  }
}
