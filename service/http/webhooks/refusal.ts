/** Why a webhook does not lead to a reconcile. */

export type WebhookOutcome =
  | 'accepted'
  /** A ping of whoever sets the webhook up. */
  | 'pong'
  /** An event that changes no ref. */
  | 'ignored'
  | 'other-repository'
  | 'malformed'
  /** No proof that the sender knows the secret, or a wrong one. */
  | 'unauthorized'
  | 'broken-off'
  | 'timed-out'
  | 'too-large'
  | 'unsupported-type'

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly outcome: WebhookOutcome

  /** @param reason for the sender, whoever that is: what was wrong and what would be right */
  constructor(outcome: WebhookOutcome, reason: string) {
    super(reason)
    this.outcome = outcome
  }
}
