import type { Log } from '../../service/telemetry/ports.ts'

/** Log that writes nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
