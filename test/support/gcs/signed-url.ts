/**
 * Verifies a URL that was signed by the V4 process, from the request as it arrived and the public key.
 * Written from the specification, not from the client, so that the two do not share a mistake.
 * @see https://cloud.google.com/storage/docs/authentication/canonical-requests
 * @see https://cloud.google.com/storage/docs/access-control/signed-urls
 */
import { createHash, verify } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { ServiceAccount } from './service-account.ts'
import { ServiceError } from './service-error.ts'

const algorithm = 'GOOG4-RSA-SHA256'
/** Seconds: seven days. */
const longestLife = 604_800
/** Seconds that a signer's clock may be ahead of the service's. */
const tolerance = 15 * 60

export interface SignedRequest {
  readonly method: string
  /** As received: path, `?`, query. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
}

/**
 * @param now milliseconds since the epoch
 * @throws {ServiceError} 400 for what is malformed or expired, 403 for a signature that is not the account's
 */
export function verifySignedUrl(
  request: SignedRequest,
  account: Pick<ServiceAccount, 'email' | 'publicKey'>,
  now: number,
): void {
  const [path = '', query = ''] = request.target.split('?', 2)
  const parameters = query.split('&').map(parameter)
  const value = (name: string) => parameters.find((pair) => pair.name === name)?.value ?? ''

  if (value('X-Goog-Algorithm') !== algorithm) throw malformed('X-Goog-Algorithm')
  const [email, scope] = credential(value('X-Goog-Credential'), value('X-Goog-Date'))
  const names = signedHeaders(value('X-Goog-SignedHeaders'), request.headers)
  mustBeTime(value('X-Goog-Date'), value('X-Goog-Expires'), now)

  const canonicalRequest = [
    request.method,
    path.split('/').map(reencoded).join('/'),
    canonicalQuery(parameters),
    ...names.map((name) => `${name}:${canonicalValue(name, request.headers)}`),
    '',
    names.join(';'),
    request.headers['x-goog-content-sha256'] ?? 'UNSIGNED-PAYLOAD',
  ].join('\n')
  const hash = createHash('sha256').update(canonicalRequest).digest('hex')
  const stringToSign = [algorithm, value('X-Goog-Date'), scope, hash].join('\n')

  if (email !== account.email) throw denied('InvalidSecurity', `Unknown account ${email}.`)
  const signature = Buffer.from(value('X-Goog-Signature'), 'hex')
  if (!verify('RSA-SHA256', Buffer.from(stringToSign), account.publicKey, signature)) {
    const reason =
      'The request signature we calculated does not match the signature you provided. Check your Google secret key and signing method.'
    throw denied('SignatureDoesNotMatch', reason, {
      StringToSign: stringToSign,
      CanonicalRequest: canonicalRequest,
    })
  }
}

interface Parameter {
  readonly name: string
  readonly value: string
}

function parameter(pair: string): Parameter {
  const [name = '', ...rest] = pair.split('=')
  return { name: decodeURIComponent(name), value: decodeURIComponent(rest.join('=')) }
}

/** Sorted by code point, without the signature itself. */
function canonicalQuery(parameters: readonly Parameter[]): string {
  return parameters
    .filter(({ name }) => name !== 'X-Goog-Signature')
    .map(({ name, value }) => `${encoded(name)}=${encoded(value)}`)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .join('&')
}

/** Everything but letters, digits and `-._~`. */
function encoded(text: string): string {
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, hex)
}

function reencoded(segment: string): string {
  return encoded(decodeURIComponent(segment))
}

/** @returns whose it is, and the scope: `EMAIL/20260102/auto/storage/goog4_request` after the email */
function credential(text: string, date: string): [email: string, scope: string] {
  const [email, day, location, ...service] = text.split('/')
  const right = email && location && service.join('/') === 'storage/goog4_request'
  if (!right || day !== date.slice(0, 8)) throw malformed('X-Goog-Credential')
  return [email, `${day}/${location}/storage/goog4_request`]
}

function signedHeaders(text: string, headers: IncomingHttpHeaders): string[] {
  const names = text.split(';')
  const sorted = names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name)
  if (!sorted || !names.includes('host') || text !== text.toLowerCase()) {
    throw malformed('X-Goog-SignedHeaders')
  }
  const missing = names.find((name) => headers[name] === undefined)
  if (missing) {
    throw malformed(missing, 'Header was included in signedheaders, but not in the request.')
  }
  const unsigned = Object.keys(headers).find(
    (name) => name.startsWith('x-goog-') && !names.includes(name),
  )
  if (unsigned) throw malformed(unsigned, 'Header was not included in signedheaders.')
  return names
}

function canonicalValue(name: string, headers: IncomingHttpHeaders): string {
  const value = [headers[name]].flat().join(',').trim().replaceAll(/\s+/g, ' ')
  // The real service is on its protocol's own port, and clients sign the bare name.
  return name === 'host' ? value.replace(/:\d+$/, '') : value
}

function mustBeTime(date: string, expires: string, now: number): void {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  const start = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(start) || start > now + tolerance * 1000) throw malformed('X-Goog-Date')
  const seconds = Number(expires)
  if (!/^\d+$/.test(expires) || seconds < 1 || seconds > longestLife) {
    throw malformed('X-Goog-Expires')
  }
  const end = start + seconds * 1000
  if (now < end) return
  const details = { Details: `Request signature expired at: ${new Date(end).toISOString()}` }
  const message = 'The provided token has expired.'
  throw new ServiceError({ status: 400, message, reason: 'expired', code: 'ExpiredToken', details })
}

function malformed(parameter: string, details = 'The value is not valid.'): ServiceError {
  return new ServiceError({
    status: 400,
    message: 'Your request has a malformed header.',
    reason: 'invalid',
    code: 'MalformedSecurityHeader',
    details: { ParameterName: parameter, Details: details },
  })
}

function denied(code: string, details: string, more: Record<string, string> = {}): ServiceError {
  return new ServiceError({
    status: 403,
    message: 'Access denied.',
    reason: 'forbidden',
    code,
    details: { Details: details, ...more },
  })
}
