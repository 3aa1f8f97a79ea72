/** Structured log lines as JSON on stdout. */
import { pino } from 'pino'
import type { Log } from '../../telemetry/ports.ts'

export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}
