import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { findIsaL, structSize } from '../../../service/adapters/packing/isa-l.ts'
import {
  type FindLibrary,
  findLibrary,
  type Library,
} from '../../../service/adapters/packing/native-library.ts'

const { made: isaL } = await findIsaL(findLibrary)

type Deflate = (struct: Buffer) => number

/** Finds ISA-L with another function in place of `isal_deflate_stateless`. */
function findWith(replace: (original: Deflate) => Deflate): FindLibrary {
  return (name, make, path) =>
    findLibrary(
      name,
      (library, koffi) => {
        const func = (...signature: Parameters<Library['func']>) => {
          const original = library.func(...signature)
          return signature[0] === 'isal_deflate_stateless' ? replace(original) : original
        }
        return make({ func } as Library, koffi)
      },
      path,
    )
}

/** Finds an ISA-L that changes its struct after each call. */
function findChanging(change: (struct: Buffer) => void): FindLibrary {
  return findWith((original) => (struct) => {
    const code = original(struct)
    change(struct)
    return code
  })
}

/** Offsets in the struct. */
const availOut = 24
const levelBufSize = 44

describe.runIf(isaL)('ISA-L', () => {
  test('a gzip member of ISA-L holds neither a time nor a name', () => {
    const flagsAndTime = isaL?.gzip(Buffer.from('content')).subarray(3, 8)
    expect(flagsAndTime?.toString('hex')).toBe('0000000000')
  })

  test('ISA-L compresses chunks of any size and content so that zlib restores them', () => {
    const random = createHash('shake256', { outputLength: 300_000 }).update('seed').digest()
    for (const size of [0, 1, 9, 511, 65_535, 65_536, 262_144, 300_000]) {
      for (const chunk of [random.subarray(0, size), Buffer.alloc(size, 'repeated text ')]) {
        expect(gunzipSync(isaL?.gzip(chunk) ?? '').equals(chunk)).toBe(true)
      }
    }
  })

  // ISA-L hashes the address of its struct, so the compressed bytes may differ.
  test('ISA-L at different addresses compresses a chunk to the same content', async () => {
    const searches = await Promise.all(Array.from({ length: 4 }, () => findIsaL(findLibrary)))
    for (let seed = 0; seed < 200; seed += 1) {
      // The chunk repeats its start, so each of the first positions is looked up again.
      const start = createHash('sha256').update(`${seed}`).digest()
      const chunk = Buffer.alloc(4096, start.subarray(0, 30))
      for (const { made } of searches) {
        expect(gunzipSync(made?.gzip(chunk) ?? '').equals(chunk)).toBe(true)
      }
    }
  })

  test.each([
    [
      'with a struct of another size',
      'takes 82394 bytes instead of 82384',
      (struct: Buffer) =>
        struct.writeUInt32LE(struct.readUInt32LE(levelBufSize) + 10, levelBufSize),
    ],
    [
      'that writes beyond its struct',
      'writes beyond the 82384 bytes',
      (struct: Buffer) => struct.writeUInt8(1, structSize + 1000),
    ],
    [
      'that reports a wrong size of its output',
      '',
      (struct: Buffer) => struct.writeUInt32LE(struct.readUInt32LE(availOut) + 20, availOut),
    ],
  ])('ISA-L %s is not used', async (_, cause, change) => {
    expect(await findIsaL(findChanging(change))).toEqual({
      unused: [
        {
          library: 'libisal.so.2',
          path: expect.stringContaining('libisal.so.2'),
          failure: expect.stringMatching(new RegExp(`^does not work: .*${cause}`)),
        },
      ],
    })
  })

  test('an error of ISA-L names the size of the chunk and the code', async () => {
    let code = 0
    const find = findWith((original) => (struct) => code || original(struct))
    const { made } = await findIsaL(find)
    code = -1
    expect(() => made?.gzip(Buffer.alloc(1000))).toThrow('could not compress 1000 bytes: code -1')
  })
})
