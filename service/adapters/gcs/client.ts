/**
 * Google's client library, on top of the HTTP client of this service. The library's own client chooses
 * proxies by other rules, and opens a new connection to the proxy for every request.
 */
import { createPrivateKey, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { Storage } from '@google-cloud/storage'
import { GoogleAuth } from 'google-auth-library'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { Failure, messageOf } from '../../image/errors.ts'
import { type HttpClient, httpClient, type RequestOptions } from '../remote/http-client.ts'
import { ErrorResponse } from './bucket-errors.ts'
import type { GcsSettings } from './settings.ts'

/** Milliseconds for a request and its response, unless the caller gives a signal of its own. */
const timeout = 20_000

/** Scope that allows access to objects, and to nothing else of the project. */
const objectScope = 'https://www.googleapis.com/auth/devstorage.read_write'
/** The narrowest scope in which IAM signs URLs. */
const signingScope = 'https://www.googleapis.com/auth/iam'

/** No request needs the project. Without a value, the library asks the metadata server, which takes 1.5 s. */
const projectId = 'none'

const serviceAccountKey = z.object({
  type: z.literal('service_account'),
  client_email: z.string(),
  private_key: z.string(),
})

type LibraryRequest = Parameters<Storage['request']>[0]
type LibraryCallback = Parameters<Storage['request']>[1]

export class GcsClient extends Storage {
  readonly #http: HttpClient
  /** A token is as secret as a password, so it is never sent over plain HTTP. */
  readonly #isAuthorized: boolean
  /** True if the credentials have a private key, or IAM signs. */
  readonly canSign: boolean

  private constructor({ endpoint, signByIam }: GcsSettings, http: HttpClient, hasKey: boolean) {
    const isAuthorized = endpoint === undefined || endpoint.protocol === 'https:'
    super({
      projectId,
      // Reads GOOGLE_APPLICATION_CREDENTIALS, or finds the credentials of the machine.
      authClient: new GoogleAuth({
        projectId,
        scopes: signByIam ? [objectScope, signingScope] : [objectScope],
        clientOptions: { transporterOptions: { fetchImplementation: http.fetch as typeof fetch } },
      }),
      ...(endpoint === undefined
        ? {}
        : {
            apiEndpoint: endpoint.href.replace(/\/+$/, ''),
            useAuthWithCustomEndpoint: isAuthorized,
          }),
    })
    this.#http = http
    this.#isAuthorized = isAuthorized
    this.canSign = hasKey || signByIam
  }

  /** @throws Failure unavailable when the credentials file or a proxy setting is invalid */
  static async open(settings: GcsSettings): Promise<GcsClient> {
    const { credentialsPath } = settings
    const hasKey = credentialsPath !== undefined && (await hasPrivateKey(credentialsPath))
    return new GcsClient(settings, await httpClient(), hasKey)
  }

  /**
   * Sends a request to the bucket with the authorisation of the service account.
   * @throws ErrorResponse for a status other than 2xx
   */
  async send(url: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
    const authorization = this.#isAuthorized ? await this.authClient.getRequestHeaders(url) : []
    const response = await this.#http.request(url, {
      signal: AbortSignal.timeout(timeout),
      ...options,
      headers: {
        'User-Agent': 'slipway',
        ...options.headers,
        ...Object.fromEntries(authorization),
      },
    })
    const { statusCode, body } = response
    if (statusCode < 200 || statusCode > 299) throw new ErrorResponse(statusCode, await body.text())
    return response
  }

  /** Sends a request to the URL of an upload session, which needs no further authorisation. */
  sendToSession(url: string, options: RequestOptions): Promise<Dispatcher.ResponseData> {
    return this.#http.request(url, options)
  }

  /** Sends a request of the library: metadata, small uploads, lists, deletions. */
  override request(options: LibraryRequest, callback: LibraryCallback): void {
    this.#sendForLibrary(options).then(
      ({ body, response }) => callback(null, body, response as never),
      (error) => callback(error),
    )
  }

  async #sendForLibrary({ uri, qs, method = 'GET', json, multipart }: LibraryRequest) {
    const url = new URL(/^https?:/.test(uri) ? uri : `${this.baseUrl}/${uri.replace(/^\//, '')}`)
    const { autoPaginate, autoPaginateVal, ...query } = qs ?? {}
    for (const [name, values] of Object.entries(query)) {
      for (const value of [values].flat()) url.searchParams.append(name, String(value))
    }
    const content = multipart ? await multipartBody(multipart) : json && jsonBody(json)
    const response = await this.send(url.href, { method, ...content })
    const text = await response.body.text()
    return { response, body: text === '' ? undefined : JSON.parse(text) }
  }
}

function jsonBody(json: unknown) {
  return { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(json) }
}

/** @see https://cloud.google.com/storage/docs/uploading-objects#uploading-an-object */
async function multipartBody(parts: NonNullable<LibraryRequest['multipart']>) {
  const boundary = randomUUID()
  const pieces: Uint8Array[] = []
  for (const { body, ...headers } of parts) {
    const type = (headers as { 'Content-Type'?: string })['Content-Type']
    pieces.push(Buffer.from(`--${boundary}\r\nContent-Type: ${type}\r\n\r\n`))
    pieces.push(typeof body === 'string' ? Buffer.from(body) : await buffer(body))
    pieces.push(Buffer.from('\r\n'))
  }
  pieces.push(Buffer.from(`--${boundary}--`))
  return {
    headers: { 'Content-Type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat(pieces),
  }
}

/** Returns whether a credentials file has a private key. Other files only name a service that issues tokens. */
async function hasPrivateKey(path: string): Promise<boolean> {
  const unusable = (failure: string) => {
    const message = `GOOGLE_APPLICATION_CREDENTIALS="${path}" is not a file with Google credentials: ${failure}`
    return new Failure('unavailable', message)
  }
  let credentials: unknown
  try {
    credentials = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw unusable(error instanceof SyntaxError ? 'it is not JSON' : messageOf(error))
  }
  const key = serviceAccountKey.safeParse(credentials)
  if (!key.success) return false
  try {
    createPrivateKey(key.data.private_key)
  } catch {
    throw unusable('its private_key is not a key')
  }
  return true
}
