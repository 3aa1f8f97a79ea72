import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { mostBuffers, pieceSize } from '../../../service/adapters/filesystem/piece-cache.ts'
import { readPieces } from '../../../service/adapters/filesystem/read-pieces.ts'
import type { ByteRange } from '../../../service/storage/ports.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

const bytes = randomBytes(3 * 1024 * 1024 + 17)

let folder: TemporaryFolder
let file: FileHandle

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  const path = join(folder.path, 'file')
  await writeFile(path, bytes)
  file = await open(path)
})
afterEach(async () => {
  await file.close()
  await folder[Symbol.asyncDispose]()
})

/** Takes each piece in its own time. */
async function read(range?: ByteRange, pause = () => Promise.resolve()): Promise<Buffer> {
  const pieces: Buffer[] = []
  await readPieces(file, range, async (piece) => {
    await pause()
    pieces.push(Buffer.from(piece))
  })
  return Buffer.concat(pieces)
}

const sum = (content: Buffer) => createHash('sha256').update(content).digest('hex')

test('the pieces of a file are the file', async () => {
  expect(sum(await read())).toBe(sum(bytes))
})

test.each([
  { start: 0, end: 0 },
  { start: 256 * 1024 - 1, end: 256 * 1024 },
  { start: 1000, end: 2_000_000 },
  { start: bytes.length - 1, end: bytes.length - 1 },
])('bytes $start to $end are those', async ({ start, end }) => {
  expect(sum(await read({ start, end }))).toBe(sum(bytes.subarray(start, end + 1)))
})

test('a file is as long as it is when it ends', async () => {
  expect(await read({ start: bytes.length, end: bytes.length + 5 })).toHaveLength(0)
})

test('a piece stays as it is until it is taken, however many read at once', async () => {
  const slow = () => new Promise<void>((resolve) => setTimeout(resolve, Math.random() * 5))
  const all = await Promise.all(Array.from({ length: 50 }, () => read(undefined, slow)))
  expect(new Set(all.map(sum))).toEqual(new Set([sum(bytes)]))
})

test('who takes no more gets no more, and the reason comes back', async () => {
  let taken = 0
  const reading = readPieces(file, undefined, async () => {
    taken += 1
    throw new Error('the client is gone')
  })
  await expect(reading).rejects.toThrow('the client is gone')
  expect(taken).toBe(1)
})

describe('what was read lately', () => {
  /** The file, with a count of how often it is read. */
  function counted() {
    const read = vi.fn<(...args: unknown[]) => unknown>((...args) =>
      (file.read as (...args: unknown[]) => unknown)(...args),
    )
    const stat = () => file.stat({ bigint: true })
    return { read, handle: { stat, read } as unknown as FileHandle }
  }

  const gather = async (handle: FileHandle): Promise<string> => {
    const pieces: Buffer[] = []
    await readPieces(handle, undefined, async (piece) => void pieces.push(Buffer.from(piece)))
    return sum(Buffer.concat(pieces))
  }

  test('is not read again for the next, nor for many at once', async () => {
    const { read, handle } = counted()
    const sums = await Promise.all(Array.from({ length: 20 }, () => gather(handle)))
    sums.push(await gather(handle))
    expect(new Set(sums)).toEqual(new Set([sum(bytes)]))
    expect(read).toHaveBeenCalledTimes(Math.ceil(bytes.length / pieceSize))
  })

  test('is not taken for what has changed since', async () => {
    await gather(file)
    const changed = Buffer.from(bytes)
    changed.write('changed')
    await writeFile(join(folder.path, 'file'), changed)
    expect(await gather(file)).toBe(sum(changed))
  })

  test('makes room for what is read now', async () => {
    const path = join(folder.path, 'large')
    await writeFile(path, Buffer.alloc(mostBuffers * pieceSize, 'large'))
    await using large = await open(path)
    const { read, handle } = counted()
    await gather(handle)
    await gather(large)
    read.mockClear()
    expect(await gather(handle)).toBe(sum(bytes))
    expect(read).toHaveBeenCalledTimes(Math.ceil(bytes.length / pieceSize))
  })

  test('that could not be read is read again', async () => {
    const { read, handle } = counted()
    await writeFile(join(folder.path, 'file'), bytes)
    read.mockRejectedValueOnce(new Error('EIO'))
    await expect(gather(handle)).rejects.toThrow('EIO')
    expect(await gather(handle)).toBe(sum(bytes))
  })

  test('is not mixed up with what was read ahead for somebody who has left', async () => {
    const path = join(folder.path, 'other')
    // As much as there is room for, that of the piece which is still being read included.
    const other = randomBytes(mostBuffers * pieceSize)
    await writeFile(path, other)
    await using large = await open(path)
    // Reads that end only when they are let go: the first piece at once, the second later.
    const late: (() => void)[] = []
    const read = async (buffer: Buffer, offset: number, length: number, position: number) => {
      if (position > 0) await new Promise<void>((resolve) => late.push(resolve))
      return file.read(buffer, offset, length, position)
    }
    const handle = { stat: () => file.stat({ bigint: true }), read } as unknown as FileHandle
    await writeFile(join(folder.path, 'file'), bytes)
    const leaving = readPieces(handle, undefined, async () => {
      throw new Error('left')
    })
    await expect(leaving).rejects.toThrow('left')
    expect(await gather(large)).toBe(sum(other))
    expect(late).toHaveLength(1)
    for (const go of late) go()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await gather(large)).toBe(sum(other))
    expect(await gather(file)).toBe(sum(bytes))
  })

  test('takes no more buffers, however many read slowly at different places', async () => {
    const path = join(folder.path, 'large')
    await writeFile(path, Buffer.alloc(2 * mostBuffers * pieceSize, 'large'))
    await using large = await open(path)
    const waiting: (() => void)[] = []
    const sizes: number[] = []
    const readers = Array.from({ length: mostBuffers + 10 }, (_, at) => {
      const start = at * pieceSize
      return readPieces(large, { start, end: start + 999 }, async ({ length }) => {
        sizes.push(length)
        await new Promise<void>((resolve) => waiting.push(resolve))
      })
    })
    await vi.waitUntil(() => waiting.length === readers.length)
    for (const go of waiting) go()
    await Promise.all(readers)
    expect(sizes).toEqual(readers.map(() => 1000))
  })
})
