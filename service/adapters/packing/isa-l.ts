/**
 * Gzip by Intel's ISA-L, whose fastest level is about four times as fast as zlib's. It is called as a library, because
 * starting its program `igzip` takes longer than compressing most layers, and so does piping the bytes to it.
 *
 * On x86-64, two workers may compress the same chunk differently. ISA-L should enter the third position of a chunk
 * into its hash table, but hashes bits 16 to 47 of the address of its struct instead (`.write_first_byte` in
 * igzip_icf_body_h1_gr_bt.asm). This changes one match in one of several thousand chunks. It is allowed: the
 * uncompressed bytes are the same, and the digest of a packed layer is recorded once.
 * @see https://github.com/intel/isa-l/blob/master/include/igzip_lib.h
 */
import { gunzipSync } from 'node:zlib'
import type { FindLibrary, Koffi, Library, LibrarySearch } from './native-library.ts'

/** The public fields of `struct isal_zstream`. */
const publicFields = {
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

/** Bytes of `struct isal_zstream` with its internal state: `sizeof` in ISA-L 2.30 to 2.32, on 64-bit machines. */
export const structSize = 82_384

/** Bytes allocated for the struct. A larger struct of another version is then detected before it does harm. */
const structRoom = 256 * 1024

/**
 * Bytes of working memory for level 1: ISAL_DEF_LVL1_MEDIUM in igzip_lib.h. With more memory, a chunk becomes one
 * deflate block with one Huffman code, which takes the same time and is larger by 0.4 %.
 */
const workingMemorySize = 148 * 1024

/** IGZIP_GZIP: with header and trailer. The header holds neither a time nor a name. */
const gzipFlag = 1

/** Finds ISA-L on this machine, and checks that it works. */
export function findIsaL(find: FindLibrary): Promise<LibrarySearch<IsaL>> {
  return find('libisal.so.2', (library, koffi) => {
    const isaL = new IsaL(library, koffi)
    isaL.verify()
    return isaL
  })
}

export class IsaL {
  readonly #addressOf: (bytes: Uint8Array) => bigint
  readonly #initialize: (struct: Buffer) => void
  /** Returns 0 for success. */
  readonly #deflate: (struct: Buffer) => number
  /** Offsets in the struct. */
  readonly #at: Record<keyof typeof publicFields, number>
  /** The struct needs an alignment of 8 bytes, which every ArrayBuffer has. */
  readonly #struct = Buffer.alloc(structRoom)
  readonly #workingMemory = Buffer.alloc(workingMemorySize)
  #out = Buffer.alloc(0)

  constructor(library: Library, koffi: Koffi) {
    const type = koffi.struct(publicFields)
    const names = Object.keys(publicFields) as (keyof typeof publicFields)[]
    const offsets = names.map((name) => [name, koffi.offsetof(type, name)])
    this.#at = Object.fromEntries(offsets) as Record<keyof typeof publicFields, number>
    this.#addressOf = (bytes) => koffi.address(bytes)
    this.#initialize = library.func('isal_deflate_stateless_init', 'void', ['void *'])
    this.#deflate = library.func('isal_deflate_stateless', 'int', ['void *'])
  }

  /**
   * Returns the chunk as a gzip member. Its bytes are valid until the next call.
   * @throws Error if ISA-L cannot compress the chunk
   */
  gzip(chunk: Buffer): Buffer {
    return this.#gzip(chunk, this.#workingMemory)
  }

  /**
   * Compresses a sample and checks the result and the size of the struct. ISA-L has no function that returns its
   * version, and its file name does not determine the size of the internal state, which this process allocates.
   * @throws Error if the library differs from what this file expects
   */
  verify(): void {
    const sample = Buffer.alloc(100_000, 'once more ')
    // Without working memory ISA-L uses the last two fields of its struct, and stores their address and size.
    this.#gzip(sample, undefined)
    const start = this.#struct.readBigUInt64LE(this.#at.level_buf) - this.#addressOf(this.#struct)
    const size = Number(start) + this.#struct.readUInt32LE(this.#at.level_buf_size)
    if (size !== structSize) {
      throw new Error(`struct isal_zstream takes ${size} bytes instead of ${structSize}`)
    }
    if (!gunzipSync(this.gzip(sample)).equals(sample)) {
      throw new Error('a compressed sample cannot be decompressed')
    }
    const rest = this.#struct.subarray(structSize)
    if (!rest.equals(Buffer.alloc(rest.length))) {
      throw new Error(`it writes beyond the ${structSize} bytes of struct isal_zstream`)
    }
  }

  #gzip(chunk: Buffer, workingMemory: Buffer | undefined): Buffer {
    const room = maxCompressedSize(chunk.length)
    if (this.#out.length < room) this.#out = Buffer.allocUnsafeSlow(room)
    const struct = this.#struct
    const at = this.#at
    this.#initialize(struct)
    struct.writeUInt32LE(1, at.level)
    struct.writeUInt32LE(workingMemory?.length ?? 0, at.level_buf_size)
    struct.writeBigUInt64LE(workingMemory ? this.#addressOf(workingMemory) : 0n, at.level_buf)
    struct.writeUInt16LE(gzipFlag, at.gzip_flag)
    struct.writeUInt16LE(1, at.end_of_stream)
    struct.writeBigUInt64LE(this.#addressOf(chunk), at.next_in)
    struct.writeUInt32LE(chunk.length, at.avail_in)
    struct.writeBigUInt64LE(this.#addressOf(this.#out), at.next_out)
    struct.writeUInt32LE(room, at.avail_out)
    const code = this.#deflate(struct)
    if (code !== 0) throw new Error(`ISA-L could not compress ${chunk.length} bytes: code ${code}`)
    return this.#out.subarray(0, room - struct.readUInt32LE(at.avail_out))
  }
}

/** Returns the size of an incompressible chunk: it has 5 more bytes for each 64 kB, and a header and a trailer. */
function maxCompressedSize(size: number): number {
  return size + Math.ceil(size / 65535) * 5 + 64
}
