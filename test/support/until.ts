/** Milliseconds after which a condition that is still false fails the test. */
const patience = 4000
/** The real clock, also while a test has replaced `performance`. */
const now = performance.now.bind(performance)

/**
 * Waits until the condition is true. Checks it in each turn of the event loop, so it needs no timer and works
 * with fake timers.
 */
export async function until(condition: () => boolean): Promise<void> {
  const start = now()
  while (!condition()) {
    if (now() - start > patience) {
      throw new Error(`not true after ${patience} ms: ${condition}`)
    }
    await new Promise(setImmediate)
  }
}
