/** Metrics that count nothing. */
import type { BuildMetrics } from '../../service/build/ports.ts'
import type { HttpMetrics } from '../../service/http/ports.ts'
import type { PrebuildMetrics } from '../../service/prebuild/ports.ts'
import type { SourceMetrics } from '../../service/source/ports.ts'

export const noMetrics: SourceMetrics & BuildMetrics & PrebuildMetrics & HttpMetrics = {
  reconciled() {},
  fetched() {},
  watchQueue() {},
  buildEnded() {},
  stageEnded() {},
  webhookAnswered() {},
  manifestAnswered() {},
  blobBytesServed() {},
  layerTaken() {},
}
