/** Evaluates package sets with nix-instantiate and nix/evaluate.nix. */

import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import PQueue from 'p-queue'
import { z } from 'zod'
import type { EvaluationRequest, Evaluator } from '../../build/ports.ts'
import type { EvaluatedPackage, PackageOutcome } from '../../closure/package.ts'
import { Failure } from '../../image/errors.ts'
import type { Log } from '../../telemetry/ports.ts'
import { type Launcher, launched } from '../process/launcher.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { nixError } from './messages.ts'

const expression = fileURLToPath(new URL('../../../nix/evaluate.nix', import.meta.url))

/** What evaluate.nix gives for each name. */
const description = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('found'),
    attribute: z.string(),
    derivation: z.string(),
    outputName: z.string(),
    storePath: z.string(),
    system: z.string(),
    priority: z.number(),
    mainProgram: z.string().nullable(),
    imageConfig: z.unknown(),
    requires: z.array(z.object({ derivation: z.string(), outputName: z.string() })).nullable(),
  }),
  z.object({ status: z.literal('missing'), missing: z.string(), known: z.array(z.string()) }),
  z.object({ status: z.literal('set'), members: z.array(z.string()) }),
  z.object({ status: z.literal('not-a-derivation'), type: z.string() }),
])
const descriptions = z.array(description)

export interface NixEvaluatorOptions {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
  readonly launcher?: Launcher
  /** Seconds that one evaluation may run. */
  readonly timeout: number
  /** Evaluations at a time: each may take a core, and hundreds of megabytes for a large set. */
  readonly concurrency: number
  readonly log: Log
}

export class NixEvaluator implements Evaluator {
  readonly #options: NixEvaluatorOptions
  readonly #queue: PQueue

  constructor(options: NixEvaluatorOptions) {
    this.#options = options
    this.#queue = new PQueue({ concurrency: options.concurrency })
  }

  /**
   * One Nix process for all packages. Where one of them fails, it gets its outcome and the rest is
   * evaluated again without it: Nix ends at the first error.
   */
  async evaluate(request: EvaluationRequest): Promise<PackageOutcome[]> {
    const outcomes = new Map<string, PackageOutcome>()
    let left = request.packages
    while (left.length > 0) {
      const pass = await this.#queue.add(() => this.#run({ ...request, packages: left }))
      for (const outcome of pass) outcomes.set(nameOf(outcome), outcome)
      left = left.filter((name) => !outcomes.has(name))
    }
    return request.packages.map((name) => outcomes.get(name) as PackageOutcome)
  }

  /** The outcomes of all packages, or of the one that an error belongs to. */
  async #run({ folder, system, packages }: EvaluationRequest): Promise<PackageOutcome[]> {
    const { groups, env, launcher, timeout, log } = this.#options
    const marker = `slipway-${randomUUID()}`
    const request = JSON.stringify({ folder, system, packages, marker })
    let reached: string | undefined
    const flags = ['--eval', '--read-write-mode', '--json', '--strict']
    const args = [...flags, '--argstr', 'request', request, expression]
    const result = await groups.run(...launched(launcher, 'nix-instantiate', args), {
      env,
      timeout: timeout * 1000,
      onStderrLine: (line) => {
        if (line.startsWith(`trace: ${marker}`)) reached = line.slice('trace: '.length)
      },
    })
    if (result.exitCode === 0 && result.timedOut === undefined) {
      return descriptions
        .parse(JSON.parse(result.stdout))
        .map((found, index) => outcomeOf(packages[index] ?? '', found))
    }
    if (reached === undefined && result.timedOut === undefined) {
      // Nix did not come as far as our own expression: it is Nix that does not work.
      throw new Failure('unavailable', `Nix cannot evaluate: ${nixError(result.stderr)}`, {
        retryAfter: 30,
      })
    }
    const culprit = packages[Number(reached?.slice(marker.length) || Number.NaN)]
    log.debug({ culprit, timedOut: result.timedOut }, 'evaluation failed')
    if (result.timedOut !== undefined) {
      if (culprit !== undefined) return [{ status: 'timed-out', name: culprit, seconds: timeout }]
      throw setFailure(
        `its evaluation ran past ${timeout} seconds, the limit that SLIPWAY_EVAL_TIMEOUT sets`,
      )
    }
    const message = withoutOwnPlace(nixError(withoutMarkers(result.stderr, marker)))
    if (culprit === undefined) throw setFailure(message)
    return [{ status: 'failed', name: culprit, message }]
  }
}

/** No package is to blame: the set itself fails. */
function setFailure(reason: string): Failure {
  return new Failure('evaluation-failed', `the package set cannot be evaluated: ${reason}`)
}

function outcomeOf(name: string, found: z.infer<typeof description>): PackageOutcome {
  if (found.status === 'found') {
    const { status, mainProgram, imageConfig, requires, ...facts } = found
    const described: EvaluatedPackage = {
      name,
      ...facts,
      ...(mainProgram === null ? {} : { mainProgram }),
      ...(imageConfig === null || imageConfig === undefined ? {} : { imageConfig }),
      ...(requires === null ? {} : { requires }),
    }
    return { status, package: described }
  }
  if (found.status === 'missing') {
    return { status: 'missing', name, level: found.missing, known: found.known }
  }
  return { ...found, name }
}

function nameOf(outcome: PackageOutcome): string {
  return outcome.status === 'found' ? outcome.package.name : outcome.name
}

function withoutMarkers(stderr: string, marker: string): string {
  return stderr
    .split('\n')
    .filter((line) => !line.includes(marker))
    .join('\n')
}

/** Where our own expression stumbled over a package tells its author nothing. */
function withoutOwnPlace(message: string): string {
  return message.split(`at ${expression}:`)[0]?.trim() ?? message
}
