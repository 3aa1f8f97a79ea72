/** Nix programs that build nothing: they read the store, or copy a source tree into it. */
import { Failure } from '../../image/errors.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { nixError } from './messages.ts'

/** Seconds: minutes mean that it hangs. */
const timeout = 300

export interface Asking {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
}

/**
 * What a Nix program answers.
 * @throws Failure unavailable
 */
export async function askNix(
  { groups, env }: Asking,
  program: string,
  args: string[],
): Promise<string> {
  const result = await groups.run(program, args, { env, timeout: timeout * 1000 })
  if (result.exitCode === 0) return result.stdout
  throw new Failure('unavailable', `the Nix store cannot be used: ${nixError(result.stderr)}`, {
    retryAfter: 30,
  })
}
