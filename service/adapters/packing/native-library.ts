/** Libraries in C that are on this machine, or in Node. */
import { existsSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

export type Koffi = typeof import('koffi')
export type Library = ReturnType<Koffi['load']>
export type FindLibrary = typeof findLibrary

/** Instead of a file: what Node is linked with. */
export const inNode = null

/**
 * Makes something of a library, if there is one that does what it should.
 * @param file with the version of its ABI: `libisal.so.2`
 * @param make throws when this library is not what is looked for
 * @param path folders of programs, as in the environment: Nix has a library beside its programs, where
 *   the linker does not look
 */
export async function findLibrary<T>(
  file: string | typeof inNode,
  make: (library: Library, koffi: Koffi) => T,
  path = process.env.PATH ?? '',
): Promise<T | undefined> {
  // It has no code for some kinds of machines.
  const koffi = await import('koffi').catch(() => undefined)
  if (koffi === undefined) return undefined
  for (const candidate of file === inNode ? [inNode] : [...besidePrograms(file, path), file]) {
    try {
      return make(koffi.load(candidate), koffi)
    } catch {
      // Then perhaps the next.
    }
  }
  return undefined
}

function besidePrograms(file: string, path: string): string[] {
  const folders = path.split(delimiter).filter(isAbsolute)
  return folders.map((folder) => join(folder, '../lib', file)).filter((name) => existsSync(name))
}
