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
  readonly failure: string
}

export interface LibrarySearch<T> {
  /** Result of `make`; undefined if no file of the library can be used. */
  readonly made?: T
  /** The files that were tried before `made`; never empty if `made` is undefined. */
  readonly unused: readonly UnusedLibrary[]
}

/** Message of koffi for a library that the linker does not find. It contains no file name. */
const unknownToLinker = /^Failed to load shared library: cannot open shared object file/

/**
 * Loads a library and calls `make` with it.
 * @param library file name with the version of the ABI: `libisal.so.2`
 * @param make throws an error if the library does not work as expected; then the next file is tried
 * @param path folders of programs, as in the environment. Nix installs a library in the folder `lib` beside the
 *   folder `bin` of its programs. The linker does not look there, so these files are tried before the linker
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
    return { unused: [{ library, failure: `could not be loaded: koffi: ${messageOf(error)}` }] }
  }
  const unused: UnusedLibrary[] = []
  for (const file of [...besidePrograms(library, path), library]) {
    let loaded: Library
    try {
      loaded = koffi.load(file)
    } catch (error) {
      const message = messageOf(error)
      if (file === library && unknownToLinker.test(message)) continue
      unused.push({ library, path: file, failure: `could not be loaded: ${message}` })
      continue
    }
    try {
      return { made: make(loaded, koffi), unused }
    } catch (error) {
      unused.push({ library, path: file, failure: `does not work: ${messageOf(error)}` })
    }
  }
  return { unused: unused.length > 0 ? unused : [{ library, failure: 'not found' }] }
}

/** Returns the existing files of a library beside the folders of programs. */
function besidePrograms(library: string, path: string): string[] {
  const folders = path.split(delimiter).filter(isAbsolute)
  const files = folders.map((folder) => join(folder, '../lib', library))
  return [...new Set(files)].filter((file) => existsSync(file))
}
