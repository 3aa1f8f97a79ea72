/** Content on its way in: from a request into a file, counted, and damaged where a fault says so. */
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { Tally } from './checksums.ts'
import type { Faults } from './faults.ts'
import type { RequestRecord } from './ledger.ts'

/** Writes are this long: shorter ones cost more system calls, longer ones memory. */
const writeLength = 1 << 20

/** The connection ended before the body did. */
export class ConnectionCut extends Error {}

/**
 * The body of a request, piece by piece.
 * @throws {ConnectionCut} when the client or a fault ends the connection
 */
export async function* bodyOf(
  request: IncomingMessage,
  record: RequestRecord,
  faults: Faults,
): AsyncGenerator<Buffer, void, undefined> {
  const cut = faults.of('cut-upload', record)
  try {
    // A handler that has read enough must still be able to answer.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const before = record.bytesIn
      if (cut && before + chunk.length >= cut.afterBytes && faults.spend(cut)) {
        record.bytesIn = cut.afterBytes
        yield chunk.subarray(0, cut.afterBytes - before)
        throw new ConnectionCut()
      }
      record.bytesIn += chunk.length
      yield chunk
    }
  } catch (error) {
    request.socket.destroy()
    throw error instanceof ConnectionCut ? error : new ConnectionCut()
  }
}

export interface Written {
  /** Bytes of the source that are in the file. */
  readonly length: number
  /** What ended it before its time; all that had come is written nevertheless. */
  readonly error: unknown
}

/**
 * While one piece is being written the next is received and hashed.
 * @param position in the file, bytes
 */
export async function writeContent(
  source: AsyncIterable<Buffer>,
  file: FileHandle,
  position: number,
  tally?: Tally,
): Promise<Written> {
  let batch: Buffer[] = []
  let batchLength = 0
  let end = position
  let writing: Promise<unknown> = Promise.resolve()
  let error: unknown
  const flush = async () => {
    const [buffers, at] = [batch, end]
    batch = []
    end += batchLength
    batchLength = 0
    await writing
    writing = file.writev(buffers, at)
  }
  try {
    for await (const chunk of source) {
      tally?.update(chunk)
      batch.push(chunk)
      batchLength += chunk.length
      if (batchLength >= writeLength) await flush()
    }
  } catch (reason) {
    error = reason
  }
  if (batch.length > 0) await flush()
  await writing
  return { length: end - position, error }
}

/** The same with one bit flipped, in the first byte. */
export async function* damaged(
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let damage = 1
  for await (const chunk of source) {
    if (damage && chunk.length > 0) {
      const copy = Buffer.from(chunk)
      copy.writeUInt8(copy.readUInt8(0) ^ damage, 0)
      damage = 0
      yield copy
    } else yield chunk
  }
}

/** @param count bytes that are left out at the beginning */
export async function* without(
  source: AsyncIterable<Buffer>,
  count: number,
): AsyncGenerator<Buffer, void, undefined> {
  let left = count
  for await (const chunk of source) {
    if (chunk.length > left) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}
