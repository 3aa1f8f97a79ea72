/**
 * Failed builds by image key, in memory only: after a restart each image is tried again.
 *
 *     failure                           answers pulls for                      stops prebuilds
 *     lasting: build-failed, …          the time that the build took,          until it is forgotten
 *                                       within 30 s (of a prebuild:
 *                                       10 min) and 15 min
 *     build-timed-out of a pull         the same time                          no: a prebuild has more time
 *     unavailable                       3 s                                    no: the prebuild is retried
 *
 * A lasting failure stops prebuilds because the image key contains everything that the build depends on:
 * the same build would fail again.
 */

import { LRUCache } from 'lru-cache'
import { Failure, type FailureKind } from '../image/errors.ts'
import type { BuildFailures, Cause } from './ports.ts'

/**
 * Least milliseconds that a failure answers pulls: docker requests a tag twice, with HEAD and with GET, and
 * shows the second answer.
 */
const leastTime = 30_000
/** The same for the failure of a prebuild: the first pull of the image should get it at once. */
const leastTimeOfPrebuild = 600_000
/**
 * Most milliseconds that a failure answers pulls. Up to this limit it does so for as long as the build took,
 * so that a client that was told to come back later still gets it.
 */
const mostTime = 900_000
/** Milliseconds for storage, git or Nix out of reach: only the requests of one pull share the failure. */
const timeOfUnavailable = 3000

/** Most failures that answer pulls. Each may contain the end of a log: a few kilobytes. */
const mostForPulls = 1000
/** Most failures that stop prebuilds. */
const mostForPrebuilds = 10_000

/** Failures that the package set causes. All other kinds, such as a storage out of reach, may pass. */
const lastingKinds: ReadonlySet<FailureKind> = new Set([
  'name-invalid',
  'manifest-unknown',
  'evaluation-failed',
  'build-failed',
  'build-timed-out',
])

export class RememberedFailures implements BuildFailures {
  readonly #forPulls = new LRUCache<string, Failure>({ max: mostForPulls })
  readonly #forPrebuilds = new LRUCache<string, Failure>({ max: mostForPrebuilds })

  get(imageKey: string, cause: Cause): Failure | undefined {
    const failures = cause === 'pull' ? this.#forPulls : this.#forPrebuilds
    return failures.get(imageKey)
  }

  note(imageKey: string, error: unknown, cause: Cause, milliseconds = 0): void {
    // Any other error is a bug of the service, not a property of the image.
    if (!(error instanceof Failure)) return
    const { kind } = error
    this.#forPulls.set(imageKey, error, { ttl: timeForPulls(kind, cause, milliseconds) })
    const isShortOfTime = kind === 'build-timed-out' && cause === 'pull'
    if (lastingKinds.has(kind) && !isShortOfTime) this.#forPrebuilds.set(imageKey, error)
  }

  forget(imageKey: string): void {
    this.#forPulls.delete(imageKey)
    this.#forPrebuilds.delete(imageKey)
  }

  clear(): void {
    this.#forPulls.clear()
    this.#forPrebuilds.clear()
  }
}

function timeForPulls(kind: FailureKind, cause: Cause, milliseconds: number): number {
  if (kind === 'unavailable') return timeOfUnavailable
  const least = cause === 'prebuild' ? leastTimeOfPrebuild : leastTime
  return Math.min(Math.max(milliseconds, least), mostTime)
}
