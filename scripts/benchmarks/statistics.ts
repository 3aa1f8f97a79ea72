/** Statistics of the runs of a benchmark. */

/** Returns the middle value; for an even number of values, the higher of the two in the middle. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** @param part 0.99 for the value that 99 % of the values are below */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(Math.floor(part * sorted.length), sorted.length - 1)]
  if (value === undefined) throw new RangeError('nothing was measured')
  return value
}

/** Figures of all runs, with their median, least and most. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  /** Figures in the order in which they were measured. */
  readonly runs: readonly number[]
}

/** @throws RangeError if there are no runs */
export function spreadOf(runs: readonly number[]): Spread {
  return { median: median(runs), least: Math.min(...runs), most: Math.max(...runs), runs }
}
