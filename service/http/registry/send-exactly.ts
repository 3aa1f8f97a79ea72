/** The body of an answer, piece by piece, as fast as the client takes it and no faster. */
import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'

/** Resolves when the piece may be overwritten. */
export type Take = (piece: Uint8Array) => Promise<void>

/**
 * Sends as many bytes as Content-Length promised, or cuts the connection: too few would have the client
 * wait for the rest, too many would be read as the next answer on the connection. What fails before the
 * first byte is thrown, and can still be answered.
 * @param send gives the pieces; false when there are none to give
 * @param onBytes told how many were sent, in the end
 * @returns what `send` gave, if no byte was sent
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
    // From here on the answer is not Koa's to give.
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

/** Whoever reads the answer, and may leave at any time. */
class Client {
  readonly #response: ServerResponse
  #leave: ((error: Error) => void) | undefined
  #left: Error | undefined

  constructor(response: ServerResponse) {
    this.#response = response
    response.once('close', () => {
      const error = new Error('the client closed the connection')
      this.#left = Object.assign(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
      this.#leave?.(this.#left)
    })
  }

  /** Resolves when the piece may be overwritten. @throws Error when the client is gone */
  write(piece: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#left) return reject(this.#left)
      this.#leave = reject
      this.#response.write(piece, (error) => (error ? reject(error) : resolve()))
    })
  }
}
