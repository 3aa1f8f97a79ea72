import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { blockSize, mostBuffers } from '../../../service/adapters/filesystem/block-cache.ts'
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

/** Returns the bytes that readPieces gives, with a pause before each piece is copied. */
async function read(
  range?: ByteRange,
  pause: () => Promise<unknown> = async () => {},
): Promise<Buffer> {
  const pieces: Buffer[] = []
  await readPieces(file, range, async (piece) => {
    await pause()
    pieces.push(Buffer.from(piece))
  })
  return Buffer.concat(pieces)
}

const sum = (content: Buffer) => createHash('sha256').update(content).digest('hex')

test('the pieces of a file are the bytes of the file', async () => {
  expect(sum(await read())).toBe(sum(bytes))
})

test.each([
  { start: 0, end: 0 },
  { start: 256 * 1024 - 1, end: 256 * 1024 },
  { start: 1000, end: 2_000_000 },
  { start: bytes.length - 1, end: bytes.length - 1 },
])('the range $start to $end gives exactly these bytes', async ({ start, end }) => {
  expect(sum(await read({ start, end }))).toBe(sum(bytes.subarray(start, end + 1)))
})

test('a range behind the end of the file gives nothing', async () => {
  expect(await read({ start: bytes.length, end: bytes.length + 5 })).toHaveLength(0)
})

test('a piece stays unchanged until take has resolved, with 50 concurrent readers', async () => {
  const all = await Promise.all(
    Array.from({ length: 50 }, () => read(undefined, () => setImmediate())),
  )
  expect(new Set(all.map(sum))).toEqual(new Set([sum(bytes)]))
})

test('an error of take ends the reading and is thrown', async () => {
  let taken = 0
  const reading = readPieces(file, undefined, async () => {
    taken += 1
    throw new Error('the client is gone')
  })
  await expect(reading).rejects.toThrow('the client is gone')
  expect(taken).toBe(1)
})

describe('cached blocks', () => {
  /** The file, and a mock that counts its reads. */
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

  test('a block is read once for many concurrent readers and for later ones', async () => {
    const { read, handle } = counted()
    const sums = await Promise.all(Array.from({ length: 20 }, () => gather(handle)))
    sums.push(await gather(handle))
    expect(new Set(sums)).toEqual(new Set([sum(bytes)]))
    expect(read).toHaveBeenCalledTimes(Math.ceil(bytes.length / blockSize))
  })

  test('a block of a file that has changed is read again', async () => {
    await gather(file)
    const changed = Buffer.from(bytes)
    changed.write('changed')
    await writeFile(join(folder.path, 'file'), changed)
    expect(await gather(file)).toBe(sum(changed))
  })

  test('the least recently used blocks make room for new ones', async () => {
    const path = join(folder.path, 'large')
    await writeFile(path, Buffer.alloc(mostBuffers * blockSize, 'large'))
    await using large = await open(path)
    const { read, handle } = counted()
    await gather(handle)
    await gather(large)
    read.mockClear()
    expect(await gather(handle)).toBe(sum(bytes))
    expect(read).toHaveBeenCalledTimes(Math.ceil(bytes.length / blockSize))
  })

  test('a block whose read failed is read again', async () => {
    const { read, handle } = counted()
    await writeFile(join(folder.path, 'file'), bytes)
    read.mockRejectedValueOnce(new Error('EIO'))
    await expect(gather(handle)).rejects.toThrow('EIO')
    expect(await gather(handle)).toBe(sum(bytes))
  })

  test('a block that is still read ahead for a reader that has left is not overwritten', async () => {
    const path = join(folder.path, 'other')
    // As many blocks as the cache has buffers, including the buffer that is still being filled.
    const other = randomBytes(mostBuffers * blockSize)
    await writeFile(path, other)
    await using large = await open(path)
    // The first block is read at once. The read of the second one ends when the test calls `late`.
    const late: (() => void)[] = []
    let lateRead: Promise<unknown> | undefined
    const read = async (buffer: Buffer, offset: number, length: number, position: number) => {
      if (position === 0) return file.read(buffer, offset, length, position)
      await new Promise<void>((resolve) => late.push(resolve))
      const reading = file.read(buffer, offset, length, position)
      lateRead = reading
      return reading
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
    await vi.waitUntil(() => lateRead !== undefined)
    await lateRead
    expect(await gather(large)).toBe(sum(other))
    expect(await gather(file)).toBe(sum(bytes))
  })

  test('more slow readers than buffers are served through small buffers of their own', async () => {
    const path = join(folder.path, 'large')
    await writeFile(path, Buffer.alloc(2 * mostBuffers * blockSize, 'large'))
    await using large = await open(path)
    const waiting: (() => void)[] = []
    const sizes: number[] = []
    const readers = Array.from({ length: mostBuffers + 10 }, (_, at) => {
      const start = at * blockSize
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
