/**
 * Ends Nix together with the service, also after a SIGKILL. Otherwise a build would go on and use builders
 * that the next service, which does not know of that build, needs.
 */
import { constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { exists } from '../filesystem/file-access.ts'

/** Program and arguments that stand before a Nix program on its command line; empty on a system without setpriv. */
export type Launcher = readonly string[]

/**
 * setpriv of util-linux asks the kernel to send the program SIGTERM when its parent process ends, and then
 * becomes the program. @see https://man7.org/linux/man-pages/man1/setpriv.1.html
 */
const setpriv = ['setpriv', '--pdeathsig', 'TERM', '--']

/** @param path the PATH in which Nix programs are found */
export async function findLauncher(path: string): Promise<Launcher> {
  return (await findProgram('setpriv', path)) === undefined ? [] : setpriv
}

/** Returns the absolute path of a program in a PATH; undefined if it is missing. */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const program = join(folder, name)
    if (await exists(program, constants.X_OK)) return program
  }
  return undefined
}

/** Returns the program and the arguments that start a Nix program. */
export function launched(
  launcher: Launcher | undefined,
  program: string,
  args: readonly string[],
): [program: string, args: string[]] {
  const [first = program, ...rest] = [...(launcher ?? []), program, ...args]
  return [first, rest]
}
