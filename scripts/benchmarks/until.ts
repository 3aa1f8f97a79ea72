/** Waits for a state of another process. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds until a state that has not come counts as a failure. */
const limit = 120_000

/**
 * Calls `ask` until it returns something other than undefined.
 * @param what name of the state, for the error message
 * @param interval milliseconds between two calls
 * @throws Error after two minutes
 */
export async function until<T>(
  what: string,
  interval: number,
  signal: AbortSignal,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  for (const started = Date.now(); Date.now() - started < limit; ) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await sleep(interval, undefined, { signal })
  }
  throw new Error(`${what}: not reached within ${limit / 1000} s`)
}
