/** Describes why an image cannot be evaluated: one failure that lists every package with its failure. */

import type { PackageOutcome } from '../closure/package.ts'
import { Failure, type FailureKind } from '../image/errors.ts'
import { nearest } from '../text/nearest.ts'

export type FailedOutcome = Exclude<PackageOutcome, { status: 'found' }>

/** Most names that are suggested for a missing one. */
const mostSuggestions = 3

/** Returns Failure evaluation-failed, or manifest-unknown if no package is broken, but some do not exist. */
export function evaluationFailure(outcomes: readonly FailedOutcome[]): Failure {
  const isBroken = outcomes.some(({ status }) => status === 'failed' || status === 'timed-out')
  const kind: FailureKind = isBroken ? 'evaluation-failed' : 'manifest-unknown'
  return new Failure(kind, outcomes.map(describe).join('; '), {
    detail: { packages: outcomes.map(({ name }) => name) },
  })
}

function describe(outcome: FailedOutcome): string {
  const { name } = outcome
  switch (outcome.status) {
    case 'missing':
      return describeMissing(outcome)
    case 'set': {
      if (outcome.members.length === 0) return `"${name}" is an empty set of packages`
      const examples = outcome.members.map((member) => `${name}.${imageSpelling(member)}`)
      return (
        `"${name}" is a set of packages, not a package: name one of its members, ` +
        `as in ${examples.join(', ')}`
      )
    }
    case 'not-a-derivation':
      return `"${name}" is not a package: the package set has a value of type ${outcome.type} there`
    case 'failed':
      return `package ${name} cannot be evaluated: ${outcome.message}`
    case 'timed-out':
      return (
        `package ${name}: its evaluation ran past ${outcome.seconds} seconds, ` +
        'the limit that SLIPWAY_EVAL_TIMEOUT sets'
      )
  }
}

function describeMissing({
  name,
  level,
  known,
}: Extract<FailedOutcome, { status: 'missing' }>): string {
  const prefix = level === '' ? '' : `${imageSpelling(level)}.`
  // Only the part directly below `level` is missing: the parts after it were not looked up.
  const missing = name.slice(prefix.length).split('.', 1).join()
  const spellings = new Set(known.map(imageSpelling))
  const suggestions = nearest(missing, spellings, mostSuggestions).map((one) => prefix + one)
  const hint = suggestions.length === 0 ? '' : `; the nearest names are ${suggestions.join(', ')}`
  return `the package set has no package "${name}"${hint}`
}

/** Returns an attribute as an image name spells it: lower-case, without the underscore before a digit. */
function imageSpelling(attribute: string): string {
  return attribute.toLowerCase().replace(/(?<=^|\.)_(?=\d)/g, '')
}
