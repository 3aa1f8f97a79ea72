/** Turns the outcomes of an evaluation into packages, or into one failure that tells of all faults. */

import type { EvaluatedPackage, PackageOutcome } from '../closure/package.ts'
import { Failure, type FailureKind } from '../image/errors.ts'
import { nearest } from '../text/nearest.ts'

type Fault = Exclude<PackageOutcome, { status: 'found' }>

/** Names that are suggested for one that is missing. */
const suggestions = 3

/** @throws Failure manifest-unknown if a package is not there, evaluation-failed if one is broken */
export function foundPackages(outcomes: readonly PackageOutcome[]): EvaluatedPackage[] {
  const faults = outcomes.filter((outcome): outcome is Fault => outcome.status !== 'found')
  if (faults.length > 0) {
    const broken = faults.some(({ status }) => status === 'failed' || status === 'timed-out')
    const kind: FailureKind = broken ? 'evaluation-failed' : 'manifest-unknown'
    throw new Failure(kind, faults.map(describe).join('; '), {
      detail: { packages: faults.map(({ name }) => name) },
    })
  }
  return outcomes.flatMap((outcome) => (outcome.status === 'found' ? [outcome.package] : []))
}

function describe(fault: Fault): string {
  const { name } = fault
  switch (fault.status) {
    case 'missing':
      return describeMissing(fault)
    case 'set': {
      if (fault.members.length === 0) return `"${name}" is an empty set of packages`
      const examples = fault.members.map((member) => `${name}.${imageSpelling(member)}`).join(', ')
      return `"${name}" is a set of packages, not a package: name one of its members, as in ${examples}`
    }
    case 'not-a-derivation':
      return `"${name}" is no package: the package set has a value of type ${fault.type} there`
    case 'failed':
      return `package ${name} cannot be evaluated: ${fault.message}`
    case 'timed-out':
      return (
        `package ${name}: its evaluation ran past ${fault.seconds} seconds, ` +
        'the limit that SLIPWAY_EVAL_TIMEOUT sets'
      )
  }
}

function describeMissing({ name, level, known }: Extract<Fault, { status: 'missing' }>): string {
  const prefix = level === '' ? '' : `${imageSpelling(level)}.`
  // What stands behind the part that is missing was not looked up.
  const wanted = name.slice(prefix.length).split('.', 1).join()
  const spellings = new Set(known.map(imageSpelling))
  const near = nearest(wanted, spellings, suggestions).map((one) => prefix + one)
  const hint = near.length === 0 ? '' : `; the nearest names are ${near.join(', ')}`
  return `the package set has no package "${name}"${hint}`
}

/** An attribute as an image name spells it: lower-case, a digit in front without its underscore. */
function imageSpelling(attribute: string): string {
  return attribute.toLowerCase().replace(/(?<=^|\.)_(?=\d)/g, '')
}
