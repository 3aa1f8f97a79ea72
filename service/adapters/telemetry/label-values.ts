/**
 * Keeps a label from taking ever new values, each of which would be a time series for ever.
 * @see https://prometheus.io/docs/practices/instrumentation/#do-not-overuse-labels
 */

/** Far more than any label of the service has, far fewer than would hurt. */
const mostValues = 32

/** What all further values become. */
const other = 'other'

export class LabelValues {
  readonly #known = new Set<string>()

  /** The value itself, as long as there are few. */
  bounded(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= mostValues) return other
    this.#known.add(value)
    return value
  }
}
