/** Logs an outage twice: a warning when it begins, and a line when it ends. */
import type { Log } from './ports.ts'

export class OutageLog {
  readonly #log: Log
  #isFailing = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Notes a failed attempt. Only the first one in a row is logged. */
  failed(fields: object, message: string): void {
    if (!this.#isFailing) this.#log.warn(fields, message)
    this.#isFailing = true
  }

  /** Notes a successful attempt. Only the first one after a failure is logged. */
  recovered(message: string, fields: object = {}): void {
    if (this.#isFailing) this.#log.info(fields, message)
    this.#isFailing = false
  }
}
