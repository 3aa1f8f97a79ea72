/** Milliseconds after which a condition that is still false fails the test. */
const patience = 4000

/**
 * Waits until the condition is true. Checks it in each turn of the event loop, so it needs no timer and works
 * with fake timers.
 */
export async function until(condition: () => boolean): Promise<void> {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > patience) {
      throw new Error(`not true after ${patience} ms: ${condition}`)
    }
    await new Promise(setImmediate)
  }
}
