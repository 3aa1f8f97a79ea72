/** Log that tests can read. */
import type { Log } from '../../service/telemetry/ports.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: object
}

export class RecordingLog implements Log {
  readonly lines: LogLine[] = []

  /** Returns the lines of these levels. */
  at(...levels: LogLine['level'][]): LogLine[] {
    return this.lines.filter(({ level }) => levels.includes(level))
  }

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', message, fields })
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', message, fields })
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', message, fields })
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', message, fields })
  }
}
