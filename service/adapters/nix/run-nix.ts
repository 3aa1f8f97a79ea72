/** Runs Nix programs that build nothing: they read the store, or copy a source tree into it. */
import { Failure } from '../../image/errors.ts'
import type { ProcessGroups } from '../process/process-group.ts'
import { nixError } from './messages.ts'

/** Seconds after which a program that builds nothing counts as hanging. */
const timeout = 300

export interface NixProcesses {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
}

/** Returns the stdout of a Nix program that builds nothing. @throws Failure unavailable, with Nix's error */
export type RunNix = (program: string, args: string[]) => Promise<string>

/** See `RunNix`. */
export async function runNix(
  { groups, env }: NixProcesses,
  program: string,
  args: string[],
): Promise<string> {
  const result = await groups.run(program, args, { env, timeout: timeout * 1000 })
  if (result.exitCode === 0) return result.stdout
  throw nixUnavailable(`the Nix store cannot be used: ${nixError(result.stderr)}`)
}

/** Returns the failure of a Nix that does not work: nothing is wrong with the request or the package. */
export function nixUnavailable(message: string): Failure {
  return new Failure('unavailable', message, { retryAfter: 30 })
}
