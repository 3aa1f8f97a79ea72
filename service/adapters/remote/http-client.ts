/**
 * The HTTP client for every request that the service's own code sends. (With the credentials of a Google machine,
 * google-auth-library asks the metadata server by a client of its own.) Requests go through the proxies that
 * `http_proxy`, `https_proxy` and `no_proxy` name, in lower or upper case. Without `https_proxy`,
 * `http_proxy` also serves https.
 * @see https://undici.nodejs.org/#/docs/api/EnvHttpProxyAgent
 */
import type { Dispatcher, RequestInfo, RequestInit, Response } from 'undici'
import { Failure } from '../../image/errors.ts'

export type RequestOptions = Omit<Dispatcher.RequestOptions, 'origin' | 'path'>

export interface HttpClient {
  /** Sends a request as the Fetch standard says: follows redirects, and decompresses the body. */
  fetch(url: RequestInfo, init?: RequestInit): Promise<Response>
  /** Sends a request. Follows no redirect, decompresses nothing, and returns the body as a Node stream. */
  request(url: string, options?: RequestOptions): Promise<Dispatcher.ResponseData>
}

let client: Promise<HttpClient> | undefined

/** @throws Failure unavailable that names the variable if a proxy setting is not a URL */
export function httpClient(): Promise<HttpClient> {
  client ??= createClient(process.env)
  return client
}

async function createClient(environment: NodeJS.ProcessEnv): Promise<HttpClient> {
  const proxies = proxySettings(environment)
  // Imported for the first request: loading undici takes 65 ms.
  const { EnvHttpProxyAgent, fetch, request } = await import('undici')
  // HTTP/1.1 only: over HTTP/2 all transfers would share one connection, and break off together.
  const dispatcher = new EnvHttpProxyAgent({ ...proxies, allowH2: false })
  return {
    fetch: (url, init) => fetch(url, { ...init, dispatcher }),
    request: (url, options) => request(url, { ...options, dispatcher }),
  }
}

function proxySettings(environment: NodeJS.ProcessEnv) {
  return {
    httpProxy: proxyIn(environment, 'http_proxy'),
    httpsProxy: proxyIn(environment, 'https_proxy'),
    noProxy: settingIn(environment, 'no_proxy').value,
  }
}

/** The failure does not quote the value, which may hold a password. */
function proxyIn(environment: NodeJS.ProcessEnv, name: string): string {
  const { variable, value } = settingIn(environment, name)
  if (value === '' || isProxyUrl(value)) return value
  const message = `${variable} is not a URL such as http://proxy.example.com:3128`
  throw new Failure('unavailable', message)
}

function settingIn(environment: NodeJS.ProcessEnv, name: string) {
  const variable = environment[name] ? name : name.toUpperCase()
  return { variable, value: environment[variable] ?? '' }
}

function isProxyUrl(value: string): boolean {
  const url = URL.parse(value)
  if (url === null || !/^(?:https?|socks5?):$/.test(url.protocol)) return false
  try {
    // The proxy's user name and password are sent decoded.
    decodeURIComponent(url.username + url.password)
    return true
  } catch {
    return false
  }
}
