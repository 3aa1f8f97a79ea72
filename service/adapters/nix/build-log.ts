/**
 * Nix's internal-json log, read line by line: which derivations were built, what their builders
 * printed, and which failed.
 * @see https://github.com/NixOS/nix/blob/2.8.0/src/libutil/logging.hh
 */
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { StorePath } from '../../closure/closure.ts'
import { shownText } from './messages.ts'

/** ActivityType actBuild. */
const build = 105
/** ActivityTypes actCopyPaths and actBuilds: all substitutions, all builds. */
const totals: ReadonlySet<number> = new Set([103, 104])
/** ResultType resBuildLogLine. */
const logLine = 101
/** ResultType resProgress, of a total: how many are done, expected, running, failed. */
const progress = 105

/** Lines kept of each builder: the end of the log is what tells why it failed. */
const keptLines = 30
/** Characters kept of a line: some builders print megabytes without a line break. */
const keptCharacters = 1000
/** Builders that stopped whose lines are kept: Nix tells of a failure before or soon after the stop. */
const keptStopped = 50

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

interface Builder {
  readonly derivation: StorePath
  readonly lines: string[]
}

export class BuildLog {
  readonly failures: FailedBuild[] = []
  /** Errors that belong to no builder, in the order they came. */
  readonly errors: string[] = []
  /** By the id of the activity. */
  readonly #running = new Map<number, Builder>()
  readonly #stopped = new LRUCache<StorePath, string[]>({ max: keptStopped })

  readonly #onBuilt: () => void
  /**
   * How many are done, by the id of the activity that counts them. A builder's own activity is no sign of
   * its end: that of what was asked for stops with Nix only.
   */
  readonly #done = new Map<number, number>()

  /** @param onBuilt called when a derivation's outputs have become valid */
  constructor(onBuilt: () => void = () => {}) {
    this.#onBuilt = onBuilt
  }

  /** Takes a line of stderr. Lines that are no events are errors of Nix, printed before it logs. */
  add(line: string): void {
    if (!line.startsWith('@nix ')) {
      if (line.startsWith('error:')) this.errors.push(shownText(line))
      return
    }
    const parsed = event.safeParse(parseJson(line.slice('@nix '.length)))
    if (!parsed.success) return
    const happened = parsed.data
    if (happened.action === 'start' && happened.type === build) {
      this.#running.set(happened.id, { derivation: String(happened.fields?.[0]), lines: [] })
    } else if (happened.action === 'result' && happened.type === logLine) {
      this.#print(happened.id, String(happened.fields?.[0]))
    } else if (happened.action === 'start' && totals.has(happened.type)) {
      this.#done.set(happened.id, 0)
    } else if (happened.action === 'result' && happened.type === progress) {
      this.#count(happened.id, Number(happened.fields?.[0]))
    } else if (happened.action === 'stop') {
      this.#stop(happened.id)
    } else if (happened.action === 'msg' && happened.level === 0) {
      this.#fail(shownText(happened.msg))
    }
  }

  #count(id: number, done: number): void {
    if (done === this.#done.get(id) || !this.#done.has(id)) return
    this.#done.set(id, done)
    this.#onBuilt()
  }

  #print(id: number, line: string): void {
    const lines = this.#running.get(id)?.lines
    if (lines === undefined) return
    lines.push(beginningOf(shownText(line)))
    if (lines.length > keptLines) lines.shift()
  }

  #stop(id: number): void {
    const builder = this.#running.get(id)
    this.#running.delete(id)
    if (builder === undefined) return
    if (builder.lines.length > 0) this.#stopped.set(builder.derivation, builder.lines)
    this.#onBuilt()
  }

  #linesOf(derivation: StorePath): readonly string[] {
    for (const builder of this.#running.values()) {
      if (builder.derivation === derivation) return builder.lines
    }
    return this.#stopped.get(derivation) ?? []
  }

  #fail(message: string): void {
    const derivation = failedDerivation.exec(message)?.[1]
    const reason = failureReason.exec(message)?.[0]
    if (derivation === undefined || reason === undefined) {
      if (message.startsWith('error:')) this.errors.push(message)
      return
    }
    const timedOut = reason.startsWith('timed out')
    const lines = this.#linesOf(derivation)
    this.failures.push({ derivation, reason, timedOut, lines })
  }
}

/** A copy: what `slice` gives keeps the whole line in memory. */
function beginningOf(line: string): string {
  return Buffer.from(line.slice(0, keptCharacters), 'utf16le').toString('utf16le')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
