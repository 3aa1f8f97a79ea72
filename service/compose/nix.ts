/** Composes the adapters of Nix: store and evaluator. */

import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { evaluationEnvironment, nixEnvironment } from '../adapters/nix/environment.ts'
import { NixEvaluator } from '../adapters/nix/evaluator.ts'
import { runNix } from '../adapters/nix/run-nix.ts'
import { LocalNixStore } from '../adapters/nix/store.ts'
import { findLauncher, type Launcher } from '../adapters/process/launcher.ts'
import { ProcessGroups } from '../adapters/process/process-groups.ts'
import type { Evaluator, NixStore } from '../build/ports.ts'
import { reservedForPulls } from '../concurrency/priority-limiter.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'

export interface FoundNix {
  readonly groups: ProcessGroups
  /** The variables that Nix processes get from the service's environment. */
  readonly env: Record<string, string>
  readonly launcher: Promise<Launcher>
  /** The output of `nix-store --version`. Rejects if Nix is missing or does not work. */
  readonly version: Promise<string>
}

/** Starts to look for Nix. This takes as long as loading the service, so main.ts does both at the same time. */
export function findNix(): FoundNix {
  const groups = new ProcessGroups()
  const env = nixEnvironment(process.env)
  const version = runNix({ groups, env }, 'nix-store', ['--version']).then((out) => out.trim())
  // compose() handles a rejection later. Until then it must not count as unhandled.
  version.catch(() => {})
  return { groups, env, launcher: findLauncher(env.PATH ?? ''), version }
}

export interface Nix {
  readonly store: NixStore
  readonly evaluator: Evaluator
}

export async function composeNix(
  config: Config,
  found: FoundNix,
  state: StateFolder,
  log: Log,
): Promise<Nix> {
  const { groups, env } = found
  const launcher = await found.launcher
  return {
    store: new LocalNixStore({
      groups,
      env,
      launcher,
      rootsFolder: state.roots,
      temporaryFolder: state.temporary,
      builders: config.buildConcurrency,
    }),
    evaluator: new NixEvaluator({
      groups,
      env: evaluationEnvironment(env, state.emptyHome),
      launcher,
      timeout: config.evaluationTimeout,
      concurrency: config.buildConcurrency + reservedForPulls,
      log,
    }),
  }
}
