/** Outcomes of webhook deliveries. */

export type WebhookOutcome =
  | 'accepted'
  /** A ping, by which the provider tests the webhook. */
  | 'pong'
  /** An event that changes no ref. */
  | 'ignored'
  | 'other-repository'
  | 'malformed'
  /** The proof that the sender knows the secret is missing or wrong. */
  | 'unauthorized'
  | 'broken-off'
  | 'timed-out'
  | 'too-large'
  | 'unsupported-type'

/** A delivery that does not lead to a reconcile. */
export class WebhookFailure extends Error {
  override readonly name = 'WebhookFailure'
  readonly outcome: Exclude<WebhookOutcome, 'accepted'>

  /** @param message for the sender, who may be anybody: what was wrong and what would be right */
  constructor(outcome: WebhookFailure['outcome'], message: string) {
    super(message)
    this.outcome = outcome
  }
}
