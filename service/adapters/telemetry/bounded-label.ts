/**
 * Limits the number of values of a label whose values are not known beforehand: each value is a time series that
 * stays in memory.
 * @see https://prometheus.io/docs/practices/instrumentation/#do-not-overuse-labels
 */

/** Most values of a label; more than any label of the service needs. */
const mostValues = 32

/** Value that stands for all further values. */
const other = 'other'

export class BoundedLabel {
  readonly #known = new Set<string>()

  /** Returns the value itself if it is among the first 32, else `other`. */
  bounded(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= mostValues) return other
    this.#known.add(value)
    return value
  }
}
