/**
 * Memory at an address that one chooses. mmap takes an address for a wish, and so disturbs nothing that is
 * there already.
 * @see https://man7.org/linux/man-pages/man2/mmap.2.html
 */
import type { Koffi, Library } from './native-library.ts'

/** PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS on Linux. */
const readAndWrite = 1 | 2
const privateAnonymous = 0x02 | 0x20

const addressStep = 64 * 1024
const mostSteps = 1_000_000

export interface Addresses {
  /** The first that is tried, a multiple of 64 KiB. */
  readonly from: number
  isGood(address: number): boolean
}

export class MappedMemory {
  readonly bytes: Buffer
  readonly #free: () => void

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
        this.bytes = Buffer.from(koffi.view(start, size))
        this.#free = () => unmap(start, size)
        return
      }
      // Else this fails for MAP_FAILED, which is no address.
      unmap(start, size)
    }
    throw new Error(`no ${size} bytes are free at a good address`)
  }

  /** Nothing may look at the bytes any more. */
  free(): void {
    this.#free()
  }
}
