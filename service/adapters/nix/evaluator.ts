/** Evaluates package sets with nix-instantiate and nix/evaluate.nix. */

import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import PQueue from 'p-queue'
import type { EvaluationRequest, Evaluator } from '../../build/ports.ts'
import type { PackageOutcome } from '../../closure/package.ts'
import { Failure } from '../../image/errors.ts'
import type { Log } from '../../telemetry/ports.ts'
import { type Launcher, launched } from '../process/launcher.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { parseEvaluationOutput } from './evaluation-output.ts'
import { nixError } from './messages.ts'
import { nixUnavailable } from './run-nix.ts'

const expression = fileURLToPath(new URL('../../../nix/evaluate.nix', import.meta.url))

export interface NixEvaluatorOptions {
  readonly groups: ProcessGroups
  readonly env: Record<string, string>
  readonly launcher?: Launcher
  /** Seconds that one evaluation may run. */
  readonly timeout: number
  /** Most evaluations at a time. Each may use a core, and hundreds of megabytes for a large set. */
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
   * Evaluates all packages in one Nix process. Nix ends at the first error, so after an error the other
   * packages are evaluated again without the broken one.
   */
  async evaluate(request: EvaluationRequest): Promise<PackageOutcome[]> {
    const outcomes = new Map<string, PackageOutcome>()
    let remaining = request.packages
    while (remaining.length > 0) {
      const pass = { ...request, packages: remaining }
      for (const outcome of await this.#queue.add(() => this.#evaluateOnce(pass))) {
        outcomes.set(nameOf(outcome), outcome)
      }
      remaining = remaining.filter((name) => !outcomes.has(name))
    }
    return request.packages.map((name) => outcomes.get(name) as PackageOutcome)
  }

  /**
   * Runs one Nix process.
   * @returns the outcomes of all packages, or that of the one package that failed
   */
  async #evaluateOnce({ folder, system, packages }: EvaluationRequest): Promise<PackageOutcome[]> {
    const { groups, env, launcher, timeout, log } = this.#options
    // evaluate.nix traces the marker and the index of each package before it evaluates the package.
    const marker = `slipway-${randomUUID()}`
    let lastTrace: string | undefined
    const request = JSON.stringify({ folder, system, packages, marker })
    const flags = ['--eval', '--read-write-mode', '--json', '--strict']
    const args = [...flags, '--argstr', 'request', request, expression]
    const result = await groups.run(...launched(launcher, 'nix-instantiate', args), {
      env,
      timeout: timeout * 1000,
      onStderrLine: (line) => {
        if (line.startsWith(`trace: ${marker}`)) lastTrace = line.slice('trace: '.length)
      },
    })
    const isTimedOut = result.timedOut !== undefined
    if (result.exitCode === 0 && !isTimedOut) return parseEvaluationOutput(result.stdout, packages)
    if (lastTrace === undefined && !isTimedOut) {
      // Nix did not even start to evaluate evaluate.nix.
      throw nixUnavailable(`Nix cannot evaluate: ${nixError(result.stderr)}`)
    }
    const name = packages[Number(lastTrace?.slice(marker.length) || Number.NaN)]
    log.debug({ package: name, timedOut: isTimedOut }, 'evaluation failed')
    if (isTimedOut) {
      if (name !== undefined) return [{ status: 'timed-out', name, seconds: timeout }]
      throw packageSetFailure(
        `its evaluation ran past ${timeout} seconds, the limit that SLIPWAY_EVAL_TIMEOUT sets`,
      )
    }
    const message = withoutOwnPosition(nixError(withoutMarkers(result.stderr, marker)))
    if (name === undefined) throw packageSetFailure(message)
    return [{ status: 'failed', name, message }]
  }
}

/** Returns the failure of the whole package set: Nix failed before it evaluated any package. */
function packageSetFailure(message: string): Failure {
  return new Failure('evaluation-failed', `the package set cannot be evaluated: ${message}`)
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

/** Cuts off positions in evaluate.nix: they do not help the author of a package. */
function withoutOwnPosition(message: string): string {
  return message.split(`at ${expression}:`)[0]?.trim() ?? message
}
