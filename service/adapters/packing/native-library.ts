/** Loads libraries in C that are installed on this machine. */
import { existsSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { messageOf } from '../../image/errors.ts'

export type Koffi = typeof import('koffi')
export type Library = ReturnType<Koffi['load']>
export type FindLibrary = typeof findLibrary

/** A library that is not used, and why. Plain data, for the log. */
export interface UnusedLibrary {
  /** File name with the version of the ABI: `libisal.so.2`. */
  readonly library: string
  /** The file that was tried; absent if there is none. */
  readonly path?: string
  /** `not found`, `could not be loaded: …` or `does not work: …`. */
  readonly cause: string
}

export interface LibrarySearch<T> {
  /** Result of `make`; undefined if no file of the library can be used. */
  readonly made?: T
  /** The files that were tried before `made`; never empty if that is undefined. */
  readonly unused: readonly UnusedLibrary[]
}

/** Message of koffi, which omits the name of the file, if the linker does not know the library. */
const unknownToLinker = /^Failed to load shared library: cannot open shared object file/

/**
 * Loads a library and calls `make` with it.
 * @param library file name with the version of the ABI: `libisal.so.2`
 * @param make throws an error if the library does not work as expected; then the next file is tried
 * @param path folders of programs, as in the environment. Nix has a library in `lib` beside the `bin` of its
 *   programs, where the linker does not look; so that is tried before the linker
 */
export async function findLibrary<T>(
  library: string,
  make: (library: Library, koffi: Koffi) => T,
  path = process.env.PATH ?? '',
): Promise<LibrarySearch<T>> {
  let koffi: Koffi
  try {
    koffi = await import('koffi')
  } catch (error) {
    // koffi has no code for some kinds of machines.
    return { unused: [{ library, cause: `could not be loaded: koffi: ${messageOf(error)}` }] }
  }
  const unused: UnusedLibrary[] = []
  for (const file of [...besidePrograms(library, path), library]) {
    let loaded: Library
    try {
      loaded = koffi.load(file)
    } catch (error) {
      const message = messageOf(error)
      if (file === library && unknownToLinker.test(message)) continue
      unused.push({ library, path: file, cause: `could not be loaded: ${message}` })
      continue
    }
    try {
      return { made: make(loaded, koffi), unused }
    } catch (error) {
      unused.push({ library, path: file, cause: `does not work: ${messageOf(error)}` })
    }
  }
  return { unused: unused.length > 0 ? unused : [{ library, cause: 'not found' }] }
}

/** Returns the existing files of a library beside the folders of programs. */
function besidePrograms(library: string, path: string): string[] {
  const folders = path.split(delimiter).filter(isAbsolute)
  const files = folders.map((folder) => join(folder, '../lib', library))
  return [...new Set(files)].filter((file) => existsSync(file))
}
