/** Composes what runs Nix. */

import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { evaluationEnvironment, nixEnvironment } from '../adapters/nix/environment.ts'
import { NixEvaluator } from '../adapters/nix/evaluator.ts'
import { runNix } from '../adapters/nix/run-nix.ts'
import { LocalNixStore } from '../adapters/nix/store.ts'
import { findLauncher, type Launcher } from '../adapters/process/launcher.ts'
import { ProcessGroups } from '../adapters/process/process-group.ts'
import type { Evaluator, NixStore } from '../build/ports.ts'
import { reservedForPulls } from '../concurrency/priority-limiter.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'

export interface FoundNix {
  readonly groups: ProcessGroups
  /** The part of the service's environment that Nix processes see. */
  readonly env: Record<string, string>
  readonly launcher: Promise<Launcher>
  /** The output of `nix-store --version`. Rejects when there is no Nix that works. */
  readonly version: Promise<string>
}

/** Looks for Nix, which takes as long as loading the service, and so starts before. */
export function findNix(): FoundNix {
  const groups = new ProcessGroups()
  const env = nixEnvironment(process.env)
  const version = runNix({ groups, env }, 'nix-store', ['--version']).then((said) => said.trim())
  // compose awaits it; until then a rejection has no handler.
  version.catch(() => {})
  return { groups, env, launcher: findLauncher(env.PATH ?? ''), version }
}

export interface Nix {
  readonly store: NixStore
  readonly evaluator: Evaluator
}

export async function composeNix(
  config: Config,
  { groups, env, launcher: finding }: FoundNix,
  state: StateFolder,
  log: Log,
): Promise<Nix> {
  const launcher = await finding
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
