/**
 * Has Nix end with the service, also when that is killed: a build that goes on would take builders from
 * the service that starts next, which does not know of it.
 */
import { constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { exists } from '../filesystem/file-access.ts'

/** What stands before a Nix program on its command line; nothing where the system has no such tool. */
export type Launcher = readonly string[]

/** util-linux' setpriv asks the kernel for a signal when the parent ends; a shell cannot. */
const setpriv = ['setpriv', '--pdeathsig', 'TERM', '--']

/** @param path the PATH that Nix programs are found by */
export async function findLauncher(path: string): Promise<Launcher> {
  for (const folder of path.split(delimiter)) {
    if (await exists(join(folder, 'setpriv'), constants.X_OK)) return setpriv
  }
  return []
}

/** The program and arguments that start a Nix program. */
export function launched(
  launcher: Launcher | undefined,
  program: string,
  args: readonly string[],
): [program: string, args: string[]] {
  const [first = program, ...rest] = [...(launcher ?? []), program, ...args]
  return [first, rest]
}
