/** Outcomes of webhook deliveries. */
import type { FailureKind } from '../../image/errors.ts'
import type { Notice } from './provider.ts'

/**
 * The result of a valid delivery. It is answered 202 even without effect: GitLab turns off webhooks that
 * keep failing.
 */
export type DeliveryResult =
  | { readonly outcome: 'accepted'; readonly notice: Notice }
  | {
      readonly outcome:
        | 'other-repository'
        /** An event that changes no ref. */
        | 'ignored'
        /** A ping, by which the provider tests the webhook. */
        | 'pong'
      /** For the sender. */
      readonly reason: string
    }

/** An invalid delivery fails with a `Failure`, whose kind is the outcome. */
export type WebhookOutcome = DeliveryResult['outcome'] | FailureKind
