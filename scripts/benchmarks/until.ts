/** Waiting for what another process does. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds after which what has not come will not come. */
const patience = 120_000

/**
 * Asks again and again until the answer is something other than undefined.
 * @param what for the message, when it does not come
 * @param interval milliseconds between two questions
 */
export async function until<T>(
  what: string,
  interval: number,
  signal: AbortSignal,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  for (const started = Date.now(); Date.now() - started < patience; ) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await sleep(interval, undefined, { signal })
  }
  throw new Error(`${what}: not within ${patience / 1000} s`)
}
