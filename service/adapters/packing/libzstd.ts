/**
 * The reference implementation of zstd that is in Node itself, called without node:zlib, which sets it up anew
 * for each piece and leaves a buffer behind. Not the system's: a second one in the process would be bound in
 * part to the first.
 * @see https://facebook.github.io/zstd/zstd_manual.html
 */
import { zstdDecompressSync } from 'node:zlib'
import { type FindLibrary, inNode, type Library } from './native-library.ts'

export class Libzstd {
  readonly #compress: (
    context: unknown,
    out: Buffer,
    room: number,
    piece: Buffer,
    size: number,
  ) => number
  readonly #isError: (result: number) => number
  readonly #nameOf: (result: number) => string
  readonly #bound: (size: number) => number
  readonly #free: (context: unknown) => void
  readonly #context: unknown
  #out = Buffer.alloc(0)

  private constructor(library: Library, parameters: Readonly<Record<number, number>>) {
    const create = library.func('ZSTD_createCCtx', 'void *', [])
    const set = library.func('ZSTD_CCtx_setParameter', 'size_t', ['void *', 'int', 'int'])
    this.#isError = library.func('ZSTD_isError', 'uint', ['size_t'])
    this.#nameOf = library.func('ZSTD_getErrorName', 'const char *', ['size_t'])
    this.#bound = library.func('ZSTD_compressBound', 'size_t', ['size_t'])
    this.#compress = library.func('ZSTD_compress2', 'size_t', [
      'void *',
      'void *',
      'size_t',
      'void *',
      'size_t',
    ])
    this.#free = library.func('ZSTD_freeCCtx', 'size_t', ['void *'])
    this.#context = create()
    for (const [parameter, value] of Object.entries(parameters)) {
      this.#checked(set(this.#context, Number(parameter), value))
    }
  }

  /** @param parameters `constants.ZSTD_c_…` and their values */
  static find(
    parameters: Readonly<Record<number, number>>,
    find: FindLibrary,
  ): Promise<Libzstd | undefined> {
    return find(inNode, (library) => {
      const found = new Libzstd(library, parameters)
      const sample = Buffer.alloc(100_000, 'once more ')
      if (!zstdDecompressSync(found.frame(sample)).equals(sample)) {
        throw new Error('it does not work')
      }
      return found
    })
  }

  /**
   * A zstd frame.
   * @returns bytes that are good until the next call
   */
  frame(piece: Buffer): Buffer {
    const room = this.#bound(piece.length)
    if (this.#out.length < room) this.#out = Buffer.allocUnsafeSlow(room)
    const size = this.#compress(this.#context, this.#out, room, piece, piece.length)
    return this.#out.subarray(0, this.#checked(size))
  }

  /** Nothing may be compressed any more. */
  close(): void {
    this.#free(this.#context)
  }

  /** @throws Error for a result that says that something failed */
  #checked(result: number): number {
    if (this.#isError(result) !== 0) throw new Error(`zstd: ${this.#nameOf(result)}`)
    return result
  }
}
