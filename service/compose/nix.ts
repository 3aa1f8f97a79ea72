/** Composes the adapters of Nix: store and evaluator. */

import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { evaluationEnvironment, nixEnvironment } from '../adapters/nix/environment.ts'
import { NixEvaluator } from '../adapters/nix/evaluator.ts'
import { nixUnavailable, runNix } from '../adapters/nix/run-nix.ts'
import { LocalNixStore } from '../adapters/nix/store.ts'
import { findLauncher, findProgram } from '../adapters/process/launcher.ts'
import { ProcessGroups } from '../adapters/process/process-groups.ts'
import type { Evaluator, NixStore } from '../build/ports.ts'
import { reservedForPulls } from '../concurrency/priority-limiter.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'

/** Where programs are found if the environment has no PATH. */
const defaultPath = '/usr/bin:/bin'

export interface Nix {
  readonly store: NixStore
  readonly evaluator: Evaluator
  /** All programs that the service runs: those of Nix, and git and tar. */
  readonly groups: ProcessGroups
  /** Runs Nix for the first time, and logs its version. @throws Failure unavailable, if Nix does not work */
  check(): Promise<void>
}

/** @throws Failure unavailable, if there is no Nix on the PATH */
export async function composeNix(config: Config, state: StateFolder, log: Log): Promise<Nix> {
  const groups = new ProcessGroups()
  const env = nixEnvironment(process.env)
  const path = env.PATH ?? defaultPath
  const [launcher, nixStore] = await Promise.all([
    findLauncher(path),
    findProgram('nix-store', path),
  ])
  if (nixStore === undefined)
    throw nixUnavailable(
      'there is no nix-store on the PATH: install Nix, or add its programs to PATH',
    )
  return {
    groups,
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
    async check() {
      const version = await runNix({ groups, env }, 'nix-store', ['--version'])
      log.info({ nix: version.trim() }, 'Nix found')
    },
  }
}
