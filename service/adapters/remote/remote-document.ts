/**
 * Reads what stands at an http(s) URL, within limits of time and size; through the proxies that
 * http_proxy, https_proxy and no_proxy name. Messages tell no more of the URL than its origin, and no
 * Failure carries a cause: the errors of fetch quote URLs.
 */
import { Failure, messageOf } from '../../image/errors.ts'
import { scrubberFor } from '../../text/scrub.ts'

/** Seconds. */
const retryAfter = 30

export interface RemoteOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Most bytes of the body, after a transfer's compression is undone. */
  readonly limit: number
  /** Milliseconds without a byte, the wait for the first one included. */
  readonly idleTimeout: number
  /** Milliseconds for all of it. @default none */
  readonly timeout?: number
  readonly signal?: AbortSignal
}

export interface RemoteAnswer {
  /** Of the last answer, after all redirects. */
  readonly status: number
  readonly headers: Headers
  /** Ends when the body is whole; throws when it was cut, is too large or stopped coming. */
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Sends a GET, follows redirects, and has `read` take from the answer what it wants, whatever its status.
 * @returns what `read` gives
 * @throws Failure unavailable, which says where and why; and the Failures of `read` as they are
 */
export async function readRemote<T>(
  url: string,
  options: RemoteOptions,
  read: (answer: RemoteAnswer) => Promise<T>,
): Promise<T> {
  const { limit, idleTimeout, timeout, signal } = options
  const abort = new AbortController()
  const end = (reason: string) => abort.abort(new Error(reason))
  const idle = setTimeout(() => end(`nothing came for ${idleTimeout / 1000} s`), idleTimeout)
  const whole =
    timeout && setTimeout(() => end(`it was not done within ${timeout / 1000} s`), timeout)
  try {
    heedProxies()
    const { address, headers } = withoutCredentials(url)
    const response = await fetch(address, {
      headers: { 'User-Agent': 'slipway', ...headers, ...options.headers },
      signal: signal ? AbortSignal.any([signal, abort.signal]) : abort.signal,
    })
    try {
      refuseDowngrade(address, response.url)
      const body = measured(response, limit, () => idle.refresh())
      return await read({ status: response.status, headers: response.headers, body })
    } finally {
      // What nobody read would keep the connection.
      await response.body?.cancel().catch(() => {})
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    const message = `${originOf(url)}: ${scrubberFor(url)(reasonOf(error))}`
    throw new Failure('unavailable', message, { retryAfter })
  } finally {
    clearTimeout(idle)
    clearTimeout(whole)
  }
}

/** What of a URL anybody may see: scheme, host and port. Tokens stand in paths and queries, too. */
export function originOf(url: string): string {
  return URL.parse(url)?.origin ?? 'an address that is no URL'
}

/** The body as bytes. */
export async function wholeBody(answer: RemoteAnswer): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(answer.body))
}

let proxiesHeeded = false

/**
 * Without this fetch knows of no proxy. It holds for the whole process.
 * @see https://nodejs.org/docs/latest-v24.x/api/http.html#httpsetglobalproxyfromenvproxyenv
 */
function heedProxies(): void {
  if (proxiesHeeded) return
  try {
    // Not in the first versions of Node 24.
    // Not imported: that would load undici at each start.
    process.getBuiltinModule('node:http').setGlobalProxyFromEnv?.()
  } catch {
    // The error quotes the setting, with its password.
    throw new Error('http_proxy or https_proxy is no URL such as http://proxy.example.com:3128')
  }
  proxiesHeeded = true
}

/** fetch refuses a URL with credentials; it takes them as a header, and drops that at another host. */
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

/** What is built from comes over a connection as safe as the one that was asked for. */
function refuseDowngrade(asked: string, answered: string): void {
  if (asked.startsWith('https:') && !answered.startsWith('https:')) {
    throw new Error('it leads to an address without https')
  }
}

async function* measured(response: Response, limit: number, onBytes: () => void) {
  let size = 0
  for await (const chunk of response.body ?? []) {
    onBytes()
    size += chunk.length
    if (size > limit) throw new Error(`it has more than ${limit} bytes`)
    yield chunk
  }
}

/** fetch says "fetch failed" and "terminated"; what happened stands in the innermost cause. */
function reasonOf(error: unknown): string {
  let cause = error
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause
  if (cause === error) return messageOf(error)
  const reasons = cause instanceof AggregateError ? cause.errors.map(messageOf) : [messageOf(cause)]
  const broken = messageOf(error) === 'terminated' ? 'the connection broke off: ' : ''
  return broken + reasons.join('; ')
}
