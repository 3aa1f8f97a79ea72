/** Describes to the person who pulls which package Nix could not build, and why. */

import type { BuilderLimit } from '../../build/ports.ts'
import { type StorePath, storePathName } from '../../closure/closure.ts'
import type { EvaluatedPackage } from '../../closure/package.ts'
import { Failure } from '../../image/errors.ts'
import type { BuildLog, FailedBuild } from './build-log.ts'
import { nixError } from './messages.ts'
import { describeMissingBuilder, unmetRequirement } from './missing-builder.ts'
import type { RunNix } from './run-nix.ts'

/**
 * Returns why the packages of one image are not built. The log may also contain failures of other images.
 * @returns Failure build-failed or build-timed-out, for the package that needs the failed derivation;
 *   unavailable, if Nix was stopped before it had tried the packages
 */
export async function buildFailure(
  packages: readonly EvaluatedPackage[],
  log: BuildLog,
  limit: BuilderLimit,
  runNix: RunNix,
): Promise<Failure> {
  const failure =
    (await builderFailure(packages, log, limit, runNix)) ??
    log.interruption ??
    (await missingBuilderFailure(packages, log, runNix))
  if (failure !== undefined) return failure
  const names = packages.map(({ name }) => name).join(', ')
  return new Failure('build-failed', `${names}: ${nixError(log.errors.join('\n'))}`)
}

/** Returns the first failure of a builder that one of the packages needs. */
async function builderFailure(
  packages: readonly EvaluatedPackage[],
  { failures }: BuildLog,
  limit: BuilderLimit,
  runNix: RunNix,
): Promise<Failure | undefined> {
  for (const failed of failures) {
    const affected = await packageThatNeeds(failed.derivation, packages, runNix)
    if (affected !== undefined) return describeBuilderFailure(affected, failed, limit)
  }
  return undefined
}

function describeBuilderFailure(
  { name, derivation }: EvaluatedPackage,
  failed: FailedBuild,
  { seconds, setting }: BuilderLimit,
): Failure {
  const dependency = storePathName(failed.derivation).replace(/\.drv$/, '')
  const subject = `package ${name}${derivation === failed.derivation ? '' : ` (building ${dependency})`}`
  const { lines } = failed
  const printed = lines.length === 0 ? '' : `; the end of its log:\n${lines.join('\n')}`
  const detail = { package: name, derivation: failed.derivation, log: lines }
  if (failed.timedOut) {
    const limit = `the builder ran past ${seconds} seconds, the limit that ${setting} sets`
    return new Failure('build-timed-out', `${subject}: ${limit}${printed}`, { detail })
  }
  return new Failure('build-failed', `${subject}: the builder ${failed.failure}${printed}`, {
    detail,
  })
}

/** Returns the failure of a derivation whose system or features no builder has. */
async function missingBuilderFailure(
  packages: readonly EvaluatedPackage[],
  log: BuildLog,
  runNix: RunNix,
): Promise<Failure | undefined> {
  const requirement = unmetRequirement(log.errors.join('\n'))
  if (requirement === undefined) return undefined
  const affected = await packageThatNeeds(requirement.derivation, packages, runNix)
  if (affected === undefined) return undefined
  const message = await describeMissingBuilder(affected.name, requirement, runNix)
  return new Failure('build-failed', message, {
    detail: { package: affected.name, ...requirement },
  })
}

/** Returns the package that a derivation belongs to, else one that depends on it. */
async function packageThatNeeds(
  derivation: StorePath,
  packages: readonly EvaluatedPackage[],
  runNix: RunNix,
): Promise<EvaluatedPackage | undefined> {
  const own = packages.find((one) => one.derivation === derivation)
  if (own !== undefined) return own
  for (const one of packages) {
    const requisites = await runNix('nix-store', ['--query', '--requisites', one.derivation])
    if (requisites.split('\n').includes(derivation)) return one
  }
  return undefined
}
