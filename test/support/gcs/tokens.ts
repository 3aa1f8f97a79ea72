/** Access tokens: given for a signed assertion or for another token, asked for with each request. */
import { randomBytes, verify } from 'node:crypto'
import type { ServiceAccount } from './service-account.ts'

/** Seconds, as of the real ones. */
export const tokenLifetime = 3600
/** Clocks may differ by so many seconds. */
const tolerance = 60

export interface Claims {
  readonly iss?: string
  readonly aud?: string
  readonly scope?: string
  /** Seconds since the epoch. */
  readonly iat?: number
  readonly exp?: number
}

export class Tokens {
  readonly #account: ServiceAccount
  readonly #now: () => number
  /** Token to milliseconds since the epoch when it expires. */
  readonly #expiry = new Map<string, number>()

  constructor(account: ServiceAccount, now: () => number) {
    this.#account = account
    this.#now = now
  }

  issue(): string {
    const token = `ya29.${randomBytes(24).toString('base64url')}`
    this.#expiry.set(token, this.#now() + tokenLifetime * 1000)
    return token
  }

  /** Whether a header `Bearer …` carries a token of ours or, as the service accepts it, a JWT of the account. */
  accepts(authorization: string): boolean {
    const [, token = ''] = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization) ?? []
    const expiry = this.#expiry.get(token)
    if (expiry !== undefined) return expiry > this.#now()
    return token.split('.').length === 3 && typeof this.claimsOf(token) === 'object'
  }

  /**
   * @param jwt signed with the key of the account
   * @returns what is wrong with it, or what it claims
   * @see https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
   */
  claimsOf(jwt: string): Claims | string {
    const [header = '', payload = '', signature = ''] = jwt.split('.')
    const { alg } = decoded(header) as { alg?: string }
    if (alg !== 'RS256') return `Invalid JWT: alg is ${alg}, must be RS256.`
    const signed = Buffer.from(`${header}.${payload}`)
    const right = verify('RSA-SHA256', signed, this.#account.publicKey, bytes(signature))
    if (!right) return 'Invalid JWT Signature.'
    const claims = decoded(payload) as Claims
    const now = this.#now() / 1000
    const { iss, iat = Number.NaN, exp = Number.NaN } = claims
    if (iss !== this.#account.email) return `Invalid JWT: iss is ${iss}.`
    if (!(iat <= now + tolerance)) return `Invalid JWT: iat is ${iat}.`
    if (!(exp > now && exp <= iat + tokenLifetime)) return `Invalid JWT: exp is ${exp}.`
    return claims
  }
}

function bytes(base64url: string): Buffer {
  return Buffer.from(base64url, 'base64url')
}

function decoded(part: string): unknown {
  try {
    return JSON.parse(bytes(part).toString())
  } catch {
    return {}
  }
}
