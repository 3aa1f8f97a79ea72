/**
 * Intel's ISA-L, whose fastest level compresses five times as fast as zlib's. It is called as a library: to
 * start its program `igzip` takes longer than compressing most layers, and so does handing it the bytes.
 * @see https://github.com/intel/isa-l/blob/master/include/igzip_lib.h
 */
import { gunzipSync } from 'node:zlib'
import { type Addresses, MappedMemory } from './mapped-memory.ts'
import type { FindLibrary, Koffi, Library } from './native-library.ts'

/** The public part of `struct isal_zstream`. */
const zstream = {
  next_in: 'void *',
  avail_in: 'uint32_t',
  total_in: 'uint32_t',
  next_out: 'void *',
  avail_out: 'uint32_t',
  total_out: 'uint32_t',
  hufftables: 'void *',
  level: 'uint32_t',
  level_buf_size: 'uint32_t',
  level_buf: 'void *',
  end_of_stream: 'uint16_t',
  flush: 'uint16_t',
  gzip_flag: 'uint16_t',
  hist_bits: 'uint16_t',
}

/** Bytes for that and what ISA-L keeps behind it, some 85 kB. What is not touched costs nothing. */
const zstreamSize = 256 * 1024

/**
 * On x86-64, where ISA-L means to enter a piece's third position into its hash table, it hashes bits 16 to 47 of
 * the struct's address instead (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm). By that it finds or misses a
 * match in one piece of a thousand, so that the same piece could be compressed differently in another thread.
 * Therefore the struct lies where that hash is always the same: 0 in a table of 8192 entries, which it stays in
 * the smaller ones for short pieces. Each thread takes the next such address that is free; finding it takes some
 * milliseconds.
 */
const goodAddresses: Addresses = {
  from: 0x1000_49e9_0000,
  isGood: (address) => (hash(address / 2 ** 16) & 8191) === 0,
}
/** On other processors it hashes what it means to. From here on, because some kernels there have 39 bits only. */
const anyAddress: Addresses = { from: 2 ** 36, isGood: () => true }

/** As ISA-L does it: CRC-32C of four bytes, without the usual inversion before and after. */
function hash(word: number): number {
  let crc = word
  for (let bit = 0; bit < 32; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  return crc
}

/**
 * Bytes of working memory for level 1, igzip_lib.h's ISAL_DEF_LVL1_MEDIUM. With more of it a piece is one block
 * with one Huffman code, which takes as long and is larger by 0.4 %.
 */
const levelMemorySize = 148 * 1024

/** `gzip_flag`: with header and trailer. There is neither a time nor a name in them. */
const wholeGzip = 1

export class IsaL {
  readonly #koffi: Koffi
  readonly #initialize: (stream: Buffer) => void
  /** @returns 0 for success */
  readonly #deflate: (stream: Buffer) => number
  /** Offsets in the struct. */
  readonly #at: Record<keyof typeof zstream, number>
  readonly #stream: MappedMemory
  readonly #levelMemory = Buffer.alloc(levelMemorySize)
  #out = Buffer.alloc(0)

  private constructor(library: Library, koffi: Koffi) {
    const addresses = process.arch === 'x64' ? goodAddresses : anyAddress
    const type = koffi.struct(zstream)
    const names = Object.keys(zstream) as (keyof typeof zstream)[]
    const offsets = names.map((name) => [name, koffi.offsetof(type, name)])
    this.#at = Object.fromEntries(offsets) as Record<keyof typeof zstream, number>
    this.#initialize = library.func('isal_deflate_stateless_init', 'void', ['void *'])
    this.#deflate = library.func('isal_deflate_stateless', 'int', ['void *'])
    this.#koffi = koffi
    this.#stream = new MappedMemory(zstreamSize, addresses, library, koffi)
  }

  static find(find: FindLibrary): Promise<IsaL | undefined> {
    return find('libisal.so.2', (library, koffi) => {
      const found = new IsaL(library, koffi)
      const sample = Buffer.alloc(100_000, 'once more ')
      if (!gunzipSync(found.gzip(sample)).equals(sample)) {
        found.close()
        throw new Error('it does not work')
      }
      return found
    })
  }

  /**
   * A gzip member, the same bytes for the same piece in whichever thread or process of a machine it is made.
   * @returns bytes that are good until the next call
   */
  gzip(piece: Buffer): Buffer {
    const room = mostBytes(piece.length)
    if (this.#out.length < room) this.#out = Buffer.allocUnsafeSlow(room)
    const stream = this.#stream.bytes
    const at = this.#at
    const { address } = this.#koffi
    this.#initialize(stream)
    stream.writeUInt32LE(1, at.level)
    stream.writeUInt32LE(levelMemorySize, at.level_buf_size)
    stream.writeBigUInt64LE(address(this.#levelMemory), at.level_buf)
    stream.writeUInt16LE(wholeGzip, at.gzip_flag)
    stream.writeUInt16LE(1, at.end_of_stream)
    stream.writeBigUInt64LE(address(piece), at.next_in)
    stream.writeUInt32LE(piece.length, at.avail_in)
    stream.writeBigUInt64LE(address(this.#out), at.next_out)
    stream.writeUInt32LE(room, at.avail_out)
    const failure = this.#deflate(stream)
    if (failure !== 0) throw new Error(`ISA-L could not compress ${piece.length} bytes: ${failure}`)
    return this.#out.subarray(0, room - stream.readUInt32LE(at.avail_out))
  }

  /** Nothing may be compressed any more. */
  close(): void {
    this.#stream.free()
  }
}

/** Where nothing can be compressed: five bytes more for each stored block of 64 kB, header, trailer. */
function mostBytes(size: number): number {
  return size + Math.ceil(size / 65535) * 5 + 64
}
