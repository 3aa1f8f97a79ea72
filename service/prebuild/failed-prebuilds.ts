/**
 * Images that were tried as a prebuild and do not build. The image key holds all that the build depends
 * on, so trying again before it changes would only fail again.
 */
import { LRUCache } from 'lru-cache'
import { Failure, type FailureKind } from '../image/errors.ts'

/** Failures remembered: a message each, of a few kilobytes at most. */
const mostFailures = 10_000

/** Faults of the package set. All others, such as storage out of reach, pass by themselves. */
const lasting: ReadonlySet<FailureKind> = new Set([
  'name-invalid',
  'manifest-unknown',
  'evaluation-failed',
  'build-failed',
  'build-timed-out',
])

/** In memory only: a restart tries each once more. */
export class FailedPrebuilds {
  readonly #failures = new LRUCache<string, Failure>({ max: mostFailures })

  /** Remembers a failure that will not pass by itself; says whether it is one. */
  note(imageKey: string, error: unknown): boolean {
    if (!(error instanceof Failure) || !lasting.has(error.kind)) return false
    this.#failures.set(imageKey, error)
    return true
  }

  /** Why the image does not build; undefined if nothing speaks against trying. */
  get(imageKey: string): Failure | undefined {
    return this.#failures.get(imageKey)
  }

  /** After somebody asked for another attempt, or the image was built after all. */
  forget(imageKey: string): void {
    this.#failures.delete(imageKey)
  }

  /** After somebody asked for another attempt at everything. */
  clear(): void {
    this.#failures.clear()
  }
}
