import { zstdDecompressSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import { type Compressor, selectCompressor } from '../../../service/adapters/packing/compressor.ts'
import { OrderedCompressor } from '../../../service/adapters/packing/ordered-compressor.ts'
import { SharedChunks } from '../../../service/adapters/packing/shared-chunks.ts'
import { WorkerHandle } from '../../../service/adapters/packing/worker-handle.ts'
import { chunkSize } from '../../../service/adapters/tar/write-tar.ts'

const { compressor: zstd } = await selectCompressor('zstd')

/** Compresses chunks 1, 2, 3, … with different content; returns what was written. */
function compressChunks(
  count: number,
  compressor: Compressor,
  requestHelp?: () => SharedChunks,
): Buffer[] {
  const written: Buffer[] = []
  const write = (bytes: Uint8Array) => written.push(Buffer.from(bytes))
  const ordered = new OrderedCompressor(compressor, write, requestHelp)
  for (let index = 1; index <= count; index += 1) {
    ordered.add(ordered.nextBuffer().fill(`chunk ${index} `))
  }
  ordered.finish()
  ordered.close()
  return written
}

/** Returns the number of each compressed chunk. */
function numbersOf(written: readonly Buffer[]): number[] {
  return written.map((bytes) => Number(/\d+/.exec(zstdDecompressSync(bytes).toString())))
}

test('chunks that a helper compressed are written in order with those of the owner', async () => {
  const worker = new WorkerHandle({
    settings: { compression: 'zstd' },
    onStarted: () => {},
    onExit: () => {},
  })
  const chunks = SharedChunks.create()
  const helping = worker.help(chunks)
  await vi.waitUntil(() => chunks.hasHelpers)
  let own = 0
  const slow: Compressor = {
    name: 'slow zstd',
    compress: (chunk) => {
      own += 1
      // Milliseconds that leave the helper time for a chunk.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      return zstd.compress(chunk)
    },
  }
  const written = compressChunks(40, slow, () => chunks)
  expect(numbersOf(written)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
  expect(own).toBeLessThan(40)
  expect(await helping).toBe(true)
  await worker.terminate()
})

test('help is requested once, when 4 MiB have been added', () => {
  const requestHelp = vi.fn(() => SharedChunks.create())
  const largeLayer = 4 * 1024 * 1024
  compressChunks(largeLayer / chunkSize - 1, zstd, requestHelp)
  expect(requestHelp).not.toHaveBeenCalled()
  const written = compressChunks(largeLayer / chunkSize + 8, zstd, requestHelp)
  expect(requestHelp).toHaveBeenCalledTimes(1)
  expect(numbersOf(written)).toHaveLength(24)
})

test('help is not requested for a layer without compression', async () => {
  const { compressor: none } = await selectCompressor('none')
  const requestHelp = vi.fn(() => SharedChunks.create())
  compressChunks(100, none, requestHelp)
  expect(requestHelp).not.toHaveBeenCalled()
})

test('closing makes helpers leave', () => {
  const chunks = SharedChunks.create()
  compressChunks(20, zstd, () => chunks)
  expect(chunks.isOpen).toBe(false)
})
