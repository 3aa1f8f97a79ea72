/**
 * Requests to the bucket: so many at a time, tried again while that makes sense, and never so often that
 * a bucket in trouble gets more requests than one that is well.
 */
import PQueue from 'p-queue'
import pRetry from 'p-retry'
import type { Log } from '../../telemetry/ports.ts'
import { failureOf, isAnswer, mayPass } from './fault.ts'

/** Requests at a time: enough to hide the latency for the layers of some images. */
const connections = 32
const retries = 5
/** Milliseconds before the first retry, doubled for each further one, and spread at random. */
const firstDelay = 200
const longestDelay = 5000
/** Milliseconds for one request and its retries. */
const longestEffort = 60_000

/**
 * Retries are paid from an allowance: a failure takes one, a success gives a part back. While less than
 * half is left nothing is tried again.
 * @see https://github.com/grpc/proposal/blob/master/A6-client-retries.md#throttling-retry-attempts-and-hedged-rpcs
 */
const allowance = { most: 40, returned: 0.2 }

/** Milliseconds between looks at a bucket that was out of reach. */
const probeInterval = 2000

export interface RequestsOptions {
  readonly bucket: string
  readonly log: Log
  /** A small request that shows whether the bucket can be used again. */
  readonly probe: () => Promise<unknown>
}

export class Requests {
  readonly #options: RequestsOptions
  readonly #queue = new PQueue({ concurrency: connections })
  #left = allowance.most
  #failure: string | undefined
  #prober: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RequestsOptions) {
    this.#options = options
  }

  /** Why the bucket cannot be used, if the latest request failed for that. */
  get failure(): string | undefined {
    return this.#failure
  }

  /**
   * Does a request, and again when it failed for a cause that may pass.
   * @param isUrgent whether it waits for no other
   * @throws what the request throws if that is an answer (404, 412); Failure unavailable for the rest
   */
  send<T>(request: () => Promise<T>, { isUrgent = false } = {}): Promise<T> {
    const effort = () =>
      pRetry(() => this.#watched(request), {
        retries,
        minTimeout: firstDelay,
        maxTimeout: longestDelay,
        maxRetryTime: longestEffort,
        randomize: true,
        shouldRetry: ({ error }) => !this.#closed && mayPass(error) && this.mayRetry(),
      }).catch((error: unknown) => {
        throw isAnswer(error) ? error : failureOf(this.#options.bucket, error)
      })
    return isUrgent ? effort() : this.#queue.add(effort)
  }

  /** Whether another attempt is not too much for the bucket. */
  mayRetry(): boolean {
    return !this.#closed && this.#left > allowance.most / 2
  }

  /** Notes how an attempt ended. */
  note(error?: unknown): void {
    if (error !== undefined && !isAnswer(error)) {
      this.#left = Math.max(0, this.#left - 1)
      this.#suffer(error)
      return
    }
    this.#left = Math.min(allowance.most, this.#left + allowance.returned)
    if (this.#failure !== undefined) this.#options.log.info({}, 'the bucket can be used again')
    this.#failure = undefined
    clearTimeout(this.#prober)
    this.#prober = undefined
  }

  /** Tries nothing again any more. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#prober)
  }

  async #watched<T>(request: () => Promise<T>): Promise<T> {
    try {
      const result = await request()
      this.note()
      return result
    } catch (error) {
      this.note(error)
      throw error
    }
  }

  #suffer(error: unknown): void {
    const { bucket, log } = this.#options
    const failure = failureOf(bucket, error).message
    // Of a state that lasts, once is enough.
    if (this.#failure === undefined)
      log.warn({ failure }, 'the bucket cannot be used; trying again')
    this.#failure = failure
    if (this.#prober === undefined && !this.#closed) this.#probeLater()
  }

  /** So that whoever looks learns that it is back, also when nobody asks for an image. */
  #probeLater(): void {
    this.#prober = setTimeout(async () => {
      const outcome = await this.#options.probe().then(
        () => undefined,
        (error: unknown) => error,
      )
      // If it is not back, noting that plans the next look.
      this.#prober = undefined
      this.note(outcome)
    }, probeInterval).unref()
  }
}
