/** Removes credentials from text that people will read: log lines, errors, pages. */

import { percentDecoded } from './percent-decoding.ts'

const hidden = '***'

// Programs print lines of megabytes. The repetitions before and after the name of a secret are limited to 64
// characters, so that the time grows linearly with the length of the text.

/** `://user:password@`. A password may contain `@`: the last one before the path ends it. */
const urlCredentials = /(:\/\/)[^\s/'"<>]*@/g

/** Query parameters whose name ends in the name of a secret: `?private_token=`. */
const secretParameter =
  /([?&;][\w.-]{0,64}(?:token|secret|password|passwd|pwd|api_?key|access_?key|signature|sig|auth|credential)[\w.-]{0,64}=)([^\s&;#'"<>]+)/gi

const authorizationHeader =
  /\b((?:proxy-)?authorization:\s*(?:(?:basic|bearer|token|digest)\s+)?)[^\s'"]+/gi

/** Characters. A shorter string would also match text that is not secret. */
const shortestSecret = 4

/** Hides credentials in URLs, in query parameters and in authorization headers. */
export function scrub(text: string): string {
  return text
    .replace(urlCredentials, `$1${hidden}@`)
    .replace(secretParameter, `$1${hidden}`)
    .replace(authorizationHeader, `$1${hidden}`)
}

/**
 * Returns a `scrub` that also hides the credentials of one URL wherever they appear: alone,
 * percent-decoded, or with characters that a URL may not contain.
 */
export function scrubberFor(url: string): (text: string) => string {
  const secrets = secretsOf(url)
  return (text) => {
    const known = text.replaceAll(url, scrub(url))
    return scrub(secrets.reduce((rest, secret) => rest.replaceAll(secret, hidden), known))
  }
}

/** Returns the secrets, the longest first: replacing a shorter secret inside it would leave the rest visible. */
function secretsOf(url: string): string[] {
  const credentials = credentialsOf(url)
  const [name = '', password] = splitCredentials(credentials)
  // The user name is a token if there is no password, or only a placeholder.
  const token = password === '' || password === 'x-oauth-basic' ? name : ''
  const parameters = [...url.matchAll(secretParameter)].map((match) => match[2] ?? '')
  return [credentials, token, password ?? '', ...parameters]
    .flatMap((secret) => [secret, percentDecoded(secret)])
    .filter((secret) => secret.length >= shortestSecret)
    .sort((a, b) => b.length - a.length)
}

/** Returns `user:password` or a token as it is written, or nothing if there is only the user name of ssh. */
export function credentialsOf(url: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url) ?? []
  // An unescaped `/` in a password makes the URL invalid. The password then ends at the last `@`.
  const authority = URL.canParse(url) ? rest.split(/[/?#]/, 1).join() : rest
  const credentials = authority.slice(0, Math.max(0, authority.lastIndexOf('@')))
  return /ssh/i.test(scheme) && !credentials.includes(':') ? '' : credentials
}

/** Splits credentials into the user name and, if there is a colon, the password. */
export function splitCredentials(credentials: string): [name: string, password?: string] {
  const colon = credentials.indexOf(':')
  if (colon < 0) return [credentials]
  return [credentials.slice(0, colon), credentials.slice(colon + 1)]
}
