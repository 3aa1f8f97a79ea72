/** Finding Nix: that takes as long as loading the service, and so begins before. */

import { askNix } from '../adapters/nix/ask.ts'
import { nixEnvironment } from '../adapters/nix/environment.ts'
import { findLauncher, type Launcher } from '../adapters/process/launcher.ts'
import { ProcessGroups } from '../adapters/process/process-group.ts'

export interface FoundNix {
  readonly groups: ProcessGroups
  /** What Nix processes see of the service's environment. */
  readonly env: Record<string, string>
  readonly launcher: Promise<Launcher>
  /** What `nix-store --version` says. Rejects when there is no Nix that works. */
  readonly version: Promise<string>
}

export function findNix(): FoundNix {
  const groups = new ProcessGroups()
  const env = nixEnvironment(process.env)
  const version = askNix({ groups, env }, 'nix-store', ['--version']).then((said) => said.trim())
  // Whoever waits for it gets the error; until then nobody may.
  version.catch(() => {})
  return { groups, env, launcher: findLauncher(env.PATH ?? ''), version }
}
