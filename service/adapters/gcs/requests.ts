/**
 * Requests to the bucket: limited in number, and sent again after a transient failure. A bucket in trouble
 * never gets many more requests than a healthy one.
 */
import PQueue from 'p-queue'
import pRetry from 'p-retry'
import { OutageLog } from '../../telemetry/outage-log.ts'
import type { Log } from '../../telemetry/ports.ts'
import { failureOf, isAnswer, isTransient } from './bucket-errors.ts'

/** Most requests at a time: enough to hide the latency for the layers of some images. */
const concurrency = 32
const retries = 5
/** Milliseconds before the first retry. The delay doubles with each further retry, and is spread at random. */
const defaultRetryDelay = 200
/** The longest delay, as a multiple of the first one. */
const longestDelay = 25
/** Milliseconds for one request and its retries. */
const longestEffort = 60_000

/**
 * Budget for retries: a failure takes one token from it, and a success returns a part of one. There are no
 * retries while half of the budget or less is left.
 * @see
 * https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
 */
const retryBudget = { tokens: 40, returnedBySuccess: 0.2 }

/** Milliseconds between probes of a bucket that is out of reach. */
const probeInterval = 2000

export interface RequestsOptions {
  readonly bucket: string
  readonly log: Log
  /** Sends a small request that shows whether the bucket can be used again. */
  readonly probe: () => Promise<unknown>
  /** Milliseconds before the first retry. @default 200 */
  readonly retryDelay?: number | undefined
}

export class Requests {
  /** Milliseconds before the first retry. */
  readonly retryDelay: number
  readonly #options: RequestsOptions
  readonly #outages: OutageLog
  readonly #queue = new PQueue({ concurrency })
  #tokens = retryBudget.tokens
  #failure: string | undefined
  #probeTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: RequestsOptions) {
    this.retryDelay = options.retryDelay ?? defaultRetryDelay
    this.#options = options
    this.#outages = new OutageLog(options.log)
  }

  /** Failure of the latest request, if the bucket could not be used. */
  get failure(): string | undefined {
    return this.#failure
  }

  /**
   * Sends a request, and retries it after a transient failure.
   * @param isUrgent sends the request at once, even if the limit is reached
   * @throws the error of the request if it is an answer (404, 412, 416), else Failure unavailable
   */
  send<T>(request: () => Promise<T>, { isUrgent = false } = {}): Promise<T> {
    const effort = () =>
      pRetry(() => this.#attempt(request), {
        retries,
        minTimeout: this.retryDelay,
        maxTimeout: this.retryDelay * longestDelay,
        maxRetryTime: longestEffort,
        randomize: true,
        shouldRetry: ({ error }) => isTransient(error) && this.mayRetry(),
      }).catch((error: unknown) => {
        throw isAnswer(error) ? error : failureOf(this.#options.bucket, error)
      })
    return isUrgent ? effort() : this.#queue.add(effort)
  }

  /** Returns whether the retry budget allows another attempt. */
  mayRetry(): boolean {
    return !this.#isClosed && this.#tokens > retryBudget.tokens / 2
  }

  /** Notes the outcome of an attempt: its error, or nothing for a success. */
  noteOutcome(error?: unknown): void {
    if (error !== undefined && !isAnswer(error)) {
      this.#noteFailure(error)
      return
    }
    this.#tokens = Math.min(retryBudget.tokens, this.#tokens + retryBudget.returnedBySuccess)
    this.#failure = undefined
    this.#outages.recovered('the bucket can be used again')
    clearTimeout(this.#probeTimer)
    this.#probeTimer = undefined
  }

  /** Ends all retries and probes. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#probeTimer)
  }

  async #attempt<T>(request: () => Promise<T>): Promise<T> {
    try {
      const result = await request()
      this.noteOutcome()
      return result
    } catch (error) {
      this.noteOutcome(error)
      throw error
    }
  }

  #noteFailure(error: unknown): void {
    this.#tokens = Math.max(0, this.#tokens - 1)
    const { message } = failureOf(this.#options.bucket, error)
    this.#failure = message
    this.#outages.failed({ failure: message }, 'the bucket cannot be used; trying again')
    if (this.#probeTimer === undefined && !this.#isClosed) this.#probeLater()
  }

  /** Probes the bucket, so that its recovery is noticed even if no image is requested. */
  #probeLater(): void {
    this.#probeTimer = setTimeout(async () => {
      const error = await this.#options.probe().then(
        () => undefined,
        (error: unknown) => error,
      )
      this.#probeTimer = undefined
      // Another failure schedules the next probe.
      this.noteOutcome(error)
    }, probeInterval).unref()
  }
}
