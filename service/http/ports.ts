/** What the HTTP edge needs of monitoring. */

/** What the HTTP edge reports to monitoring. Never fails, never waits. */
export interface HttpMetrics {
  /** @param provider and outcome, both out of a small set of names: `github`, `accepted` */
  webhookAnswered(provider: string, outcome: string): void
  /** @param bytes that were sent, fewer than were asked for if the client went away */
  blobBytesServed(bytes: number): void
}

/** The metrics as Prometheus scrapes them. */
export interface MetricsText {
  readonly contentType: string
  text(): Promise<string>
}
