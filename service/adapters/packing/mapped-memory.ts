/**
 * Memory at an address that one chooses. Without MAP_FIXED, mmap treats the address as a wish, and so disturbs
 * nothing that is there already.
 * @see https://man7.org/linux/man-pages/man2/mmap.2.html
 */
import type { Koffi, Library } from './native-library.ts'

/** PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS on Linux. */
const readAndWrite = 1 | 2
const privateAnonymous = 0x02 | 0x20

const addressStep = 64 * 1024
/** Enough for some five hundred threads, where one address in eight thousand is good. */
const mostSteps = 4_000_000

export interface Addresses {
  /** The first that is tried, a multiple of 64 KiB. */
  readonly from: number
  isGood(address: number): boolean
}

export class MappedMemory {
  #bytes: Buffer | undefined
  readonly #unmap: () => void

  /**
   * @param size in bytes; what is not touched costs nothing
   * @param library one that is linked with libc
   * @throws Error when there is no good address that is free
   */
  constructor(size: number, { from, isGood }: Addresses, library: Library, koffi: Koffi) {
    const map: (wish: number, size: number, ...how: number[]) => unknown = library.func(
      'mmap',
      'void *',
      ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t'],
    )
    const unmap: (start: unknown, size: number) => number = library.func('munmap', 'int', [
      'void *',
      'size_t',
    ])
    const end = from + mostSteps * addressStep
    for (let wish = from; wish < end; wish += addressStep) {
      if (!isGood(wish)) continue
      const start = map(wish, size, readAndWrite, privateAnonymous, -1, 0)
      const found = Number(koffi.address(start))
      if (found === wish) {
        this.#bytes = Buffer.from(koffi.view(start, size))
        this.#unmap = () => unmap(start, size)
        return
      }
      // Of MAP_FAILED nothing is unmapped: it is no address.
      unmap(start, size)
    }
    throw new Error(`no ${size} bytes are free at a good address`)
  }

  /** @throws Error when they have been given back */
  get bytes(): Buffer {
    if (this.#bytes === undefined) throw new Error('this memory has been given back')
    return this.#bytes
  }

  /** Nothing may hold the bytes any more. */
  free(): void {
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#unmap()
  }
}
