/** Of several runs of one thing. */

/** Half of the values are at most this. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** @param part 0.99: the value that 99 % of the values are below */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(Math.floor(part * sorted.length), sorted.length - 1)]
  if (value === undefined) throw new RangeError('nothing was measured')
  return value
}

/** What one run of something gave, run after run, with the middle and the ends. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  /** In the order in which they were measured. */
  readonly runs: readonly number[]
}

/** @throws RangeError if there is no run */
export function spreadOf(runs: readonly number[]): Spread {
  return { median: median(runs), least: Math.min(...runs), most: Math.max(...runs), runs }
}
