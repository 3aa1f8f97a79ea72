/** Entries of the journal of builds: their schema, their ids, and the text of a failure. */

import { z } from 'zod'
import { publicMessageOf } from '../image/errors.ts'
import { truncate } from '../text/truncate.ts'
import type { BuildEntry } from './ports.ts'

/** Begins with the time (UTC), so that sorted ids are in order of time: `20261123T154500Z-1f0c9a7e`. */
const idGrammar = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/

/** Most characters of a failure. The beginning is kept. */
const longestFailure = 2000
/** Most characters of a log. The last whole lines are kept. */
const longestLog = 16_000

const storedEntry = z.object({
  id: z.string().regex(idGrammar),
  image: z.string(),
  revision: z.string(),
  ref: z.string().optional(),
  cause: z.enum(['pull', 'prebuild']),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  outcome: z.enum(['running', 'built', 'failed', 'aborted']),
  stages: z.record(z.string(), z.number().nonnegative()),
  digest: z.string().optional(),
  failure: z.string().optional(),
  /** The field in which earlier versions wrote the failure. */
  problem: z.string().optional(),
  log: z.string().optional(),
})

/** Content of `builds/<id>`. */
export const buildEntry = storedEntry.transform(({ problem, ...entry }): BuildEntry => {
  return problem === undefined ? entry : { failure: problem, ...entry }
})

/** Returns whether a text has the form of a build id. */
export function isBuildId(text: string): boolean {
  return idGrammar.test(text)
}

/** Returns a new id. Its random part differs between instances that make an id in the same second. */
export function newBuildId(startedAt: Date): string {
  const time = startedAt.toISOString().replace(/\.\d+/, '').replace(/[-:]/g, '')
  return `${time}-${crypto.randomUUID().slice(0, 8)}`
}

/**
 * Splits the public message of an error: the first line is the failure, the other lines are the log. Both are
 * shortened if they are too long.
 */
export function failureAndLogOf(error: unknown): { failure: string; log?: string } {
  const [failure = '', ...lines] = publicMessageOf(error).split('\n')
  return {
    failure: beginningOf(failure),
    ...(lines.length === 0 ? {} : { log: endOf(lines) }),
  }
}

function beginningOf(text: string): string {
  return truncate(text, longestFailure)
}

function endOf(lines: readonly string[]): string {
  const text = lines.join('\n')
  if (text.length <= longestLog) return text
  const end = text.slice(-longestLog)
  // The first line of `end` may be cut, and would look like a whole one.
  const lineBreak = end.indexOf('\n')
  return `…\n${lineBreak === -1 ? end : end.slice(lineBreak + 1)}`
}
