import type { Log } from '../../service/telemetry/ports.ts'

/** For tests that do not look at the log. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
