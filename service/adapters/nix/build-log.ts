/**
 * Parses Nix's internal-json log line by line: how many builds are done, what each builder printed, and which
 * derivations failed.
 * @see https://github.com/NixOS/nix/blob/2.8.0/src/libutil/logging.hh
 */
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { StorePath } from '../../closure/closure.ts'
import type { Failure } from '../../image/errors.ts'
import { quotedDerivation, safeText } from './messages.ts'

/** ActivityType actBuild. */
const build = 105
/** ActivityTypes actCopyPaths and actBuilds: these count all substitutions and all builds. */
const counters: ReadonlySet<number> = new Set([103, 104])
/** ResultType resBuildLogLine. */
const logLine = 101
/** ResultType resProgress of a counter: done, expected, running, failed. */
const progress = 105

/** Last lines of each builder that are kept: they show why it failed. */
const keptLines = 30
/** Characters of a line that are kept: some builders print megabytes without a line break. */
const keptCharacters = 1000
/** Stopped builders whose lines are kept: Nix reports a failure before or soon after the builder stops. */
const keptStopped = 50

const logEvent = z.discriminatedUnion('action', [
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

// These words are the same in all versions of Nix, unlike the text around them.
const failedDerivation = new RegExp(quotedDerivation)
const builderFailure =
  /failed with exit code \d+|failed due to signal \d+(?: \([^)]*\))?|timed out after \d+ seconds|failed to produce output path[^\n]*/

export interface FailedBuild {
  readonly derivation: StorePath
  /** `failed with exit code 1`, `timed out after 60 seconds`. */
  readonly failure: string
  readonly timedOut: boolean
  /** The last lines that the builder printed. */
  readonly lines: readonly string[]
}

interface Builder {
  readonly derivation: StorePath
  readonly lines: string[]
}

export class BuildLog {
  readonly failures: FailedBuild[] = []
  /** Errors that belong to no builder, in the order in which Nix printed them. */
  readonly errors: string[] = []
  /** Set if Nix was stopped before it had tried everything. */
  interruption: Failure | undefined
  /** By the id of the activity. */
  readonly #running = new Map<number, Builder>()
  readonly #stopped = new LRUCache<StorePath, string[]>({ max: keptStopped })
  /**
   * Number of finished builds or substitutions, by the id of the counting activity. The activities of single
   * builders are not enough: the activity of a requested derivation stops only when Nix ends.
   */
  readonly #done = new Map<number, number>()
  readonly #onBuilt: () => void

  /** @param onBuilt called when outputs may have become valid */
  constructor(onBuilt: () => void = () => {}) {
    this.#onBuilt = onBuilt
  }

  /** Adds a line of stderr. Before Nix starts to log events, it prints errors as plain lines. */
  add(line: string): void {
    if (!line.startsWith('@nix ')) {
      if (line.startsWith('error:')) this.errors.push(safeText(line))
      return
    }
    const parsed = logEvent.safeParse(parseJson(line.slice('@nix '.length)))
    if (!parsed.success) return
    const event = parsed.data
    if (event.action === 'start' && event.type === build) {
      this.#running.set(event.id, { derivation: String(event.fields?.[0]), lines: [] })
    } else if (event.action === 'result' && event.type === logLine) {
      this.#addBuilderLine(event.id, String(event.fields?.[0]))
    } else if (event.action === 'start' && counters.has(event.type)) {
      this.#done.set(event.id, 0)
    } else if (event.action === 'result' && event.type === progress) {
      this.#count(event.id, Number(event.fields?.[0]))
    } else if (event.action === 'stop') {
      this.#stop(event.id)
    } else if (event.action === 'msg' && event.level === 0) {
      this.#addError(safeText(event.msg))
    }
  }

  #count(id: number, done: number): void {
    if (done === this.#done.get(id) || !this.#done.has(id)) return
    this.#done.set(id, done)
    this.#onBuilt()
  }

  #addBuilderLine(id: number, line: string): void {
    const lines = this.#running.get(id)?.lines
    if (lines === undefined) return
    lines.push(beginningOf(safeText(line)))
    if (lines.length > keptLines) lines.shift()
  }

  #stop(id: number): void {
    const builder = this.#running.get(id)
    this.#running.delete(id)
    if (builder === undefined) return
    if (builder.lines.length > 0) this.#stopped.set(builder.derivation, builder.lines)
    this.#onBuilt()
  }

  #addError(message: string): void {
    const { derivation } = failedDerivation.exec(message)?.groups ?? {}
    const failure = builderFailure.exec(message)?.[0]
    if (derivation !== undefined && failure !== undefined) {
      const timedOut = failure.startsWith('timed out')
      this.failures.push({ derivation, failure, timedOut, lines: this.#linesOf(derivation) })
    } else if (message.startsWith('error:')) {
      this.errors.push(message)
    }
  }

  #linesOf(derivation: StorePath): readonly string[] {
    for (const builder of this.#running.values()) {
      if (builder.derivation === derivation) return builder.lines
    }
    return this.#stopped.get(derivation) ?? []
  }
}

/** Returns a copy of the first characters: the result of `slice` alone would keep the whole line in memory. */
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
