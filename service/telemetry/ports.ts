/** What the service reports about itself, to whoever runs it. */

/** Structured logging; the shape of pino. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
