/** What is remembered of one build: what was built when, how long each stage took, how it ended. */
import { z } from 'zod'
import { publicMessageOf } from '../image/errors.ts'
import type { BuildEntry } from './ports.ts'

/** Begins with the time (UTC), so that the order of ids is that of time: `20261123T154500Z-1f0c9a7e`. */
const idGrammar = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/

/** Characters kept of what a build said: whole lines of its end, and the beginning of the failure. */
const longestFailure = 2000
const longestLog = 16_000

const storedEntry = z.object({
  id: z.string().regex(idGrammar),
  image: z.string(),
  /** A full commit id, or what a live folder was evaluated to. */
  revision: z.string(),
  /** In full: `refs/tags/v1`. */
  ref: z.string().optional(),
  /** Who asked first. */
  cause: z.enum(['pull', 'prebuild']),
  /** ISO 8601. */
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  outcome: z.enum(['running', 'built', 'failed', 'aborted']),
  /** Milliseconds by stage, in the order in which the stages ended. */
  stages: z.record(z.string(), z.number().nonnegative()),
  /** Of the OCI manifest. */
  digest: z.string().optional(),
  failure: z.string().optional(),
  /** Where earlier versions wrote the failure. */
  problem: z.string().optional(),
  /** The end of what Nix printed. */
  log: z.string().optional(),
})

/** What `builds/<id>` holds. */
export const buildEntry = storedEntry.transform(({ problem, ...entry }): BuildEntry => {
  return problem === undefined ? entry : { failure: problem, ...entry }
})

/** Whether a text may be the id of a build. */
export function isBuildId(text: string): boolean {
  return idGrammar.test(text)
}

/** An id that no other instance makes at the same moment. */
export function buildId(startedAt: Date): string {
  const time = startedAt.toISOString().replace(/\.\d+/, '').replace(/[-:]/g, '')
  return `${time}-${crypto.randomUUID().slice(0, 8)}`
}

/**
 * Why a build failed, as anybody may read it: the first line of a failure's message is the failure, the
 * lines after it are the end of the log. Both are bounded.
 */
export function explain(error: unknown): { failure: string; log?: string } {
  const [failure = '', ...lines] = publicMessageOf(error).split('\n')
  return {
    failure: beginningOf(failure),
    ...(lines.length === 0 ? {} : { log: endOf(lines) }),
  }
}

function beginningOf(text: string): string {
  return text.length <= longestFailure ? text : `${text.slice(0, longestFailure)}…`
}

function endOf(lines: readonly string[]): string {
  const text = lines.join('\n')
  if (text.length <= longestLog) return text
  const end = text.slice(-longestLog)
  // Half a line would look like a whole one.
  const lineBreak = end.indexOf('\n')
  return `…\n${lineBreak === -1 ? end : end.slice(lineBreak + 1)}`
}
