/** Takes credentials out of text that others will read: log lines, errors, pages. */

import { percentDecoded } from './percent-decoding.ts'

const hidden = '***'

// Programs print lines of megabytes: what could be long on both sides of a word has an upper limit,
// so that no text takes more than time in proportion to its length.

/** `://user:password@`; a password that holds `@` counts up to the last one before the path. */
const urlCredentials = /(:\/\/)[^\s/'"<>]*@/g

/** Query parameters that carry a secret, whatever stands before their name: `?private_token=`. */
const secretParameter =
  /([?&;][\w.-]{0,64}(?:token|secret|password|passwd|pwd|api_?key|access_?key|signature|sig|auth|credential)[\w.-]{0,64}=)([^\s&;#'"<>]+)/gi

const authorizationHeader =
  /\b((?:proxy-)?authorization:\s*(?:(?:basic|bearer|token|digest)\s+)?)[^\s'"]+/gi

/** Shorter strings would also be found where they are no secret. */
const shortestSecret = 4

/** Hides credentials in URLs, in query parameters and in authorization headers. */
export function scrub(text: string): string {
  return text
    .replace(urlCredentials, `$1${hidden}@`)
    .replace(secretParameter, `$1${hidden}`)
    .replace(authorizationHeader, `$1${hidden}`)
}

/**
 * A scrub that also knows one URL: it hides that URL's credentials wherever and however they are
 * written, alone or percent-decoded, and with characters that no URL should hold.
 */
export function scrubberFor(url: string): (text: string) => string {
  const secrets = secretsOf(url)
  return (text) => {
    const known = text.replaceAll(url, scrub(url))
    return scrub(secrets.reduce((rest, secret) => rest.replaceAll(secret, hidden), known))
  }
}

/** The longest first, so that no rest of one stays when a shorter one is a part of it. */
function secretsOf(url: string): string[] {
  const credentials = credentialsOf(url)
  const [name = '', password] = namedParts(credentials)
  // With a password the name is none, unless the password only fills the place beside a token.
  const token = password === '' || password === 'x-oauth-basic' ? name : ''
  const parameters = [...url.matchAll(secretParameter)].map((match) => match[2] ?? '')
  return [credentials, token, password ?? '', ...parameters]
    .flatMap((secret) => [secret, percentDecoded(secret)])
    .filter((secret) => secret.length >= shortestSecret)
    .sort((a, b) => b.length - a.length)
}

/** `user:password` or a lone token, as written; nothing for the user name that ssh needs. */
export function credentialsOf(url: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url) ?? []
  // A raw password may hold `/`, which makes the URL invalid: then it ends at the last `@` of all.
  const authority = URL.canParse(url) ? rest.split(/[/?#]/, 1).join() : rest
  const credentials = authority.slice(0, Math.max(0, authority.lastIndexOf('@')))
  return /ssh/i.test(scheme) && !credentials.includes(':') ? '' : credentials
}

/** User name, and password if there is a colon, as written. */
export function namedParts(credentials: string): [name: string, password?: string] {
  const colon = credentials.indexOf(':')
  if (colon < 0) return [credentials]
  return [credentials.slice(0, colon), credentials.slice(colon + 1)]
}
