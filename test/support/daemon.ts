/** Waiting for a daemon that a test has started. */
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds until a daemon that does not answer counts as failed. */
const startLimit = 60_000
const interval = 100

/**
 * @param ask fails as long as the daemon does not answer
 * @throws Error when the daemon ends, or does not answer within a minute
 */
export async function awaitAnswer(
  daemon: ChildProcess,
  ask: () => Promise<unknown>,
): Promise<void> {
  for (const start = Date.now(); Date.now() - start < startLimit; await sleep(interval)) {
    if (daemon.exitCode !== null) {
      throw new Error(`${daemon.spawnfile} ended with ${daemon.exitCode}`)
    }
    const answers = await ask().then(
      () => true,
      () => false,
    )
    if (answers) return
  }
  throw new Error(`${daemon.spawnfile} does not answer`)
}
