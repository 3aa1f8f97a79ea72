/** Creates the log and the metrics. */
import { createLog } from '../adapters/telemetry/log.ts'
import { PrometheusMetrics } from '../adapters/telemetry/prometheus.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'

export function composeLog(config: Config): Log {
  return createLog(config.logLevel)
}

export function composeMetrics(): PrometheusMetrics {
  return new PrometheusMetrics()
}
