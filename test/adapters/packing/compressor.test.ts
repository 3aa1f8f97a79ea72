import { expect, test } from 'vitest'
import { selectCompressor } from '../../../service/adapters/packing/compressor.ts'
import { findIsaL } from '../../../service/adapters/packing/isa-l.ts'
import {
  type FindLibrary,
  findLibrary,
  type UnusedLibrary,
} from '../../../service/adapters/packing/native-library.ts'
import { decompress } from '../../support/packing-folder.ts'

const notFound: UnusedLibrary = { library: 'libisal.so.2', failure: 'not found' }
const findNothing: FindLibrary = async () => ({ unused: [notFound] })
const { made: isaL } = await findIsaL(findLibrary)

test.runIf(isaL)('gzip is compressed by ISA-L if it is installed', async () => {
  const { compressor, unusedLibraries } = await selectCompressor('gzip')
  expect(compressor.name).toBe('isa-l gzip -1')
  expect(unusedLibraries).toEqual([])
})

test('gzip is compressed by zlib without ISA-L, and the cause is reported', async () => {
  const { compressor, unusedLibraries } = await selectCompressor('gzip', findNothing)
  expect(compressor.name).toBe('zlib gzip -1')
  expect(unusedLibraries).toEqual([notFound])
})

test('zstd and none need no library', async () => {
  const selected = await Promise.all([
    selectCompressor('zstd', findNothing),
    selectCompressor('none', findNothing),
  ])
  expect(selected.map(({ compressor }) => compressor.name)).toEqual(['zlib zstd -2', 'none'])
  expect(selected.flatMap(({ unusedLibraries }) => unusedLibraries)).toEqual([])
})

const chunk = Buffer.alloc(100_000, 'repeated text ')

test.each(['gzip', 'zstd'] as const)(
  '%s compresses a chunk, which can be decompressed',
  async (kind) => {
    for (const find of [findLibrary, findNothing]) {
      const { compressor } = await selectCompressor(kind, find)
      const bytes = Buffer.from(compressor.compress(chunk))
      expect(bytes.length).toBeLessThan(1500)
      expect(decompress(bytes).equals(chunk)).toBe(true)
    }
  },
)

test('compression none returns the chunk itself', async () => {
  const { compressor } = await selectCompressor('none')
  expect(compressor.isIdentity).toBe(true)
  expect(compressor.compress(chunk)).toBe(chunk)
})
