/** Log that writes one JSON object a line to stdout. */
import { pino } from 'pino'
import type { Log } from '../../telemetry/ports.ts'

/** @param level least level that is written: `info` */
export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}
