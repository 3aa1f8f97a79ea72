/** Port of the log, which operators read. */

/** Structured log. Its methods have the signatures of pino. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
