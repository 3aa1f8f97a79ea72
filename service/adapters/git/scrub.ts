/** Takes credentials out of text that others will read: log lines, errors, pages. */

const hidden = '***'

/** `scheme://user:password@`; a password that holds `@` counts up to the last one before the path. */
const urlCredentials = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/'"<>]*@/gi

/** Query parameters that carry a secret, whatever stands before their name: `?private_token=`. */
const secretParameter =
  /([?&;][\w.-]*(?:token|secret|password|passwd|pwd|api_?key|access_?key|signature|sig|auth|credential)[\w.-]*=)([^\s&;#'"<>]+)/gi

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
  const colon = credentials.indexOf(':')
  const parameters = [...url.matchAll(secretParameter)].map((match) => match[2] ?? '')
  return [credentials, colon < 0 ? '' : credentials.slice(colon + 1), ...parameters]
    .flatMap((secret) => [secret, decoded(secret)])
    .filter((secret) => secret.length >= shortestSecret)
    .sort((a, b) => b.length - a.length)
}

/** `user:password` or a lone token, as written; nothing for the user name that ssh needs. */
function credentialsOf(url: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url) ?? []
  // A raw password may hold `/`, which makes the URL invalid: then it ends at the last `@` of all.
  const authority = URL.canParse(url) ? rest.split('/', 1).join() : rest
  const credentials = authority.slice(0, Math.max(0, authority.lastIndexOf('@')))
  return /ssh/i.test(scheme) && !credentials.includes(':') ? '' : credentials
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
