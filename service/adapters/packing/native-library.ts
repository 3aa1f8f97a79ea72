/** Libraries in C that are on this machine. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export type Koffi = typeof import('koffi')
export type Library = ReturnType<Koffi['load']>
export type FindLibrary = typeof findLibrary

/**
 * Makes something of a library, if there is one that does what it should.
 * @param file with the version of its ABI: `libzstd.so.1`
 * @param make throws when this library is not what is looked for
 * @param path folders of programs, as in the environment: Nix has a library beside its programs, where
 *   the linker does not look
 */
export async function findLibrary<T>(
  file: string,
  make: (library: Library, koffi: Koffi) => T,
  path = process.env.PATH ?? '',
): Promise<T | undefined> {
  // It has no code for some kinds of machines.
  const koffi = await import('koffi').catch(() => undefined)
  if (koffi === undefined) return undefined
  const besidePrograms = path.split(delimiter).map((folder) => join(folder, '../lib', file))
  for (const candidate of [...besidePrograms.filter((name) => existsSync(name)), file]) {
    try {
      return make(koffi.load(candidate), koffi)
    } catch {
      // Then perhaps the next.
    }
  }
  return undefined
}
