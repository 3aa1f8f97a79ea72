/**
 * Failed builds by image key, in memory only: after a restart each image is tried again.
 *
 *     failure                        answers pulls for             stops prebuilds of the image
 *
 *     of a prebuild: build-failed    the time of the build,        until it is forgotten
 *     and other lasting kinds        but 10 to 15 min
 *     of a pull: the same kinds      the time of the build,        only if the image is in the
 *                                    but 30 s to 15 min            prebuild queue (`stopPrebuilds`)
 *     unavailable                    3 s                           no: the prebuild is retried
 *
 * A lasting failure stops prebuilds because the image key contains everything that the build depends on, so
 * the same build would fail again. Pulls of any name can fail, so their failures alone do not stop prebuilds.
 */

import { LRUCache } from 'lru-cache'
import { Failure, type FailureKind } from '../image/errors.ts'
import type { BuildFailures, Cause } from './ports.ts'

/**
 * Shortest time, in milliseconds, that the failure of a pull answers pulls: docker requests a tag twice, with
 * HEAD and with GET, and shows the second answer.
 */
const minPullTtl = 30_000
/** Like `minPullTtl`, for the failure of a prebuild: the first pull of the image should get it at once. */
const minPrebuildTtl = 600_000
/**
 * Longest time, in milliseconds. Up to this limit a failure answers pulls for as long as the build took. So a
 * client that got a 429 during the build, and repeats the pull, gets the failure.
 */
const maxTtl = 900_000
/** Milliseconds that a failure to reach storage, git or Nix answers pulls: enough for the requests of one pull. */
const unavailableTtl = 3000

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
    this.#forPulls.set(imageKey, error, { ttl: ttlOf(error.kind, cause, milliseconds) })
    if (cause === 'prebuild') this.stopPrebuilds(imageKey, error)
  }

  stopPrebuilds(imageKey: string, error: unknown): void {
    if (!(error instanceof Failure) || !lastingKinds.has(error.kind)) return
    this.#forPrebuilds.set(imageKey, error)
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

function ttlOf(kind: FailureKind, cause: Cause, milliseconds: number): number {
  if (kind === 'unavailable') return unavailableTtl
  const min = cause === 'prebuild' ? minPrebuildTtl : minPullTtl
  return Math.min(Math.max(milliseconds, min), maxTtl)
}
