/**
 * Nix's internal-json log, read line by line: which derivations were built, what their builders
 * printed, and which failed.
 * @see https://github.com/NixOS/nix/blob/2.8.0/src/libutil/logging.hh
 */
import { z } from 'zod'
import type { StorePath } from '../../domain/closure.ts'
import { withoutColours } from './messages.ts'

/** ActivityType actBuild. */
const build = 105
/** ResultType resBuildLogLine. */
const logLine = 101

/** Lines kept of each builder: the end of the log is what tells why it failed. */
const keptLines = 30
/** Characters kept of a line: some builders print megabytes without a line break. */
const keptCharacters = 1000

const event = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('start'),
    id: z.number(),
    type: z.number(),
    fields: z.array(z.unknown()).optional(),
  }),
  z.object({
    action: z.literal('result'),
    id: z.number(),
    type: z.number(),
    fields: z.array(z.unknown()).optional(),
  }),
  z.object({ action: z.literal('stop'), id: z.number() }),
  z.object({ action: z.literal('msg'), level: z.number(), msg: z.string() }),
])

// The wording around these changed from version to version of Nix, these words did not.
const failedDerivation = /'(\/[^'!^]+\.drv)/
const failureReason =
  /failed with exit code \d+|failed due to signal \d+(?: \([^)]*\))?|timed out after \d+ seconds|failed to produce output path[^\n]*/

export interface FailedBuild {
  readonly derivation: StorePath
  /** `failed with exit code 1`, `timed out after 60 seconds`. */
  readonly reason: string
  readonly timedOut: boolean
  /** The end of what the builder printed. */
  readonly lines: readonly string[]
}

export class BuildLog {
  readonly failures: FailedBuild[] = []
  /** Errors that belong to no builder, in the order they came. */
  readonly errors: string[] = []
  readonly #running = new Map<number, StorePath>()
  readonly #lines = new Map<StorePath, string[]>()

  /** Takes a line of stderr. Lines that are no events are errors of Nix, printed before it logs. */
  add(line: string): void {
    if (!line.startsWith('@nix ')) {
      if (line.startsWith('error:')) this.errors.push(withoutColours(line))
      return
    }
    const parsed = event.safeParse(parseJson(line.slice('@nix '.length)))
    if (!parsed.success) return
    const happened = parsed.data
    if (happened.action === 'start' && happened.type === build) {
      this.#running.set(happened.id, String(happened.fields?.[0]))
    } else if (happened.action === 'result' && happened.type === logLine) {
      this.#print(happened.id, String(happened.fields?.[0]))
    } else if (happened.action === 'stop') {
      this.#running.delete(happened.id)
    } else if (happened.action === 'msg' && happened.level === 0) {
      this.#fail(withoutColours(happened.msg))
    }
  }

  #print(id: number, line: string): void {
    const derivation = this.#running.get(id)
    if (derivation === undefined) return
    const lines = this.#lines.get(derivation) ?? []
    lines.push(withoutColours(line).slice(0, keptCharacters))
    if (lines.length > keptLines) lines.shift()
    this.#lines.set(derivation, lines)
  }

  #fail(message: string): void {
    const derivation = failedDerivation.exec(message)?.[1]
    const reason = failureReason.exec(message)?.[0]
    if (derivation === undefined || reason === undefined) {
      if (message.startsWith('error:')) this.errors.push(message)
      return
    }
    const timedOut = reason.startsWith('timed out')
    const lines = this.#lines.get(derivation) ?? []
    this.failures.push({ derivation, reason, timedOut, lines })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
