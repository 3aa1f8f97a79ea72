/**
 * Reads a document from an http(s) URL, within limits of time and size. Messages contain only the origin of
 * the URL. A Failure has no `cause`, because the errors of fetch quote URLs.
 */
import type { Response } from 'undici'
import { Failure, messageOf } from '../../image/errors.ts'
import { scrubberFor } from '../../text/scrub.ts'
import { httpClient } from './http-client.ts'

/** Seconds. */
const retryAfter = 30

export interface RemoteOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Most bytes of the decompressed body. */
  readonly limit: number
  /** Milliseconds without a byte, including the wait for the first one. */
  readonly idleTimeout: number
  /** Milliseconds for the whole transfer. @default none */
  readonly timeout?: number
  readonly signal?: AbortSignal
}

export interface RemoteResponse {
  /** Status of the last response, after all redirects. */
  readonly status: number
  readonly headers: { get(name: string): string | null }
  /** Ends when the body is complete. Throws when it breaks off, is too large, or stops for too long. */
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Sends a GET, follows redirects, and passes the response to `read`, whatever its status.
 * @returns the result of `read`
 * @throws Failure unavailable that says where and why; a Failure of `read` is thrown unchanged
 */
export async function readRemote<T>(
  url: string,
  options: RemoteOptions,
  read: (response: RemoteResponse) => Promise<T>,
): Promise<T> {
  const { limit, idleTimeout, timeout, signal } = options
  const abort = new AbortController()
  const end = (failure: string) => abort.abort(new Error(failure))
  const idle = setTimeout(() => end(`no byte arrived for ${idleTimeout / 1000} s`), idleTimeout)
  const whole =
    timeout && setTimeout(() => end(`it was not complete within ${timeout / 1000} s`), timeout)
  try {
    const { fetch } = await httpClient()
    const { address, headers } = withoutCredentials(url)
    const response = await fetch(address, {
      headers: { 'User-Agent': 'slipway', ...headers, ...options.headers },
      signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal,
    })
    try {
      rejectDowngrade(address, response.url)
      const body = limited(response, limit, () => idle.refresh())
      return await read({ status: response.status, headers: response.headers, body })
    } finally {
      // A body that was not read to its end would keep the connection open.
      await response.body?.cancel().catch(() => {})
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    const message = `${originOf(url)}: ${scrubberFor(url)(innermostMessage(error))}`
    throw new Failure('unavailable', message, { retryAfter })
  } finally {
    clearTimeout(idle)
    clearTimeout(whole)
  }
}

/** Returns scheme, host and port of a URL. The rest is secret: paths and queries may contain tokens. */
export function originOf(url: string): string {
  return URL.parse(url)?.origin ?? 'an address that is not a URL'
}

export async function wholeBody(response: RemoteResponse): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(response.body))
}

/** Moves credentials from the URL, where fetch rejects them, to a header, which fetch never sends to another host. */
function withoutCredentials(url: string): { address: string; headers: Record<string, string> } {
  const address = new URL(url)
  const { username, password } = address
  if (username === '' && password === '') return { address: address.href, headers: {} }
  address.username = ''
  address.password = ''
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`
  return { address: address.href, headers: { Authorization: authorization } }
}

/** @throws Error for a redirect from https to http */
function rejectDowngrade(requested: string, answered: string): void {
  if (requested.startsWith('https:') && !answered.startsWith('https:')) {
    throw new Error('it redirects to an address without https')
  }
}

async function* limited({ body }: Response, limit: number, onBytes: () => void) {
  let size = 0
  for await (const piece of body ?? []) {
    onBytes()
    size += piece.length
    if (size > limit) throw new Error(`it has more than ${limit} bytes`)
    yield piece
  }
}

/** Returns the message of the innermost cause: fetch itself says only "fetch failed" and "terminated". */
function innermostMessage(error: unknown): string {
  let cause = error
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause
  if (cause === error) return messageOf(error)
  const messages =
    cause instanceof AggregateError ? cause.errors.map(messageOf) : [messageOf(cause)]
  const prefix = messageOf(error) === 'terminated' ? 'the connection broke off: ' : ''
  return prefix + messages.join('; ')
}
