/** Ports of the HTTP edge. */

/** Metrics of the HTTP edge. Methods neither throw nor block. */
export interface HttpMetrics {
  /** Counts a delivery, by provider (`github`) and outcome (`accepted`). Both have few values. */
  webhookAnswered(provider: string, outcome: string): void
  /** Counts the bytes of blobs that were sent: fewer than requested if the client goes away. */
  blobBytesServed(bytes: number): void
}

/** The metrics in the format of Prometheus. */
export interface MetricsText {
  readonly contentType: string
  text(): Promise<string>
}
