/** Packages for the real Nix whose builders are scripts of the shell's own commands. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NixEvaluator } from '../../service/adapters/nix/evaluator.ts'
import type { ProcessGroups } from '../../service/adapters/process/process-group.ts'
import type { EvaluatedPackage } from '../../service/closure/package.ts'
import { silentLog } from './silent-log.ts'

/** Part of every derivation, so that each test run really builds them. */
const salt = `${process.pid}-${Date.now()}`

export interface ShellPackagesOptions {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
  /** Existing folder, in which one is created for the package set. */
  readonly folder: string
}

/**
 * Evaluates a package set with these builder scripts by name. A script may refer to another package:
 * `echo ${name} > $out`.
 */
export async function shellPackages<Name extends string>(
  scripts: Record<Name, string>,
  { groups, env, folder }: ShellPackagesOptions,
): Promise<Record<Name, EvaluatedPackage>> {
  const attributes = Object.entries(scripts).map(
    ([name, script]) =>
      `${name} = derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; ` +
      `salt = "${salt}"; args = [ "-c" ''${script}\nexit 0'' ]; };`,
  )
  const set = await mkdtemp(join(folder, 'set-'))
  await writeFile(join(set, 'default.nix'), `rec { ${attributes.join('\n')} }`)
  const evaluator = new NixEvaluator({ groups, env, timeout: 60, concurrency: 1, log: silentLog })
  const outcomes = await evaluator.evaluate({
    folder: set,
    system: 'x86_64-linux',
    packages: Object.keys(scripts),
  })
  const packages = outcomes.map((outcome) => {
    if (outcome.status !== 'found') throw new Error(JSON.stringify(outcome))
    return [outcome.package.name, outcome.package]
  })
  return Object.fromEntries(packages)
}

/** A builder that runs until Nix ends it. */
export const endlessScript = 'echo begun; while :; do :; done'
