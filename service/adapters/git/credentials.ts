/**
 * Keeps the credentials of an http(s) URL out of the arguments of git, which every user of the machine can
 * read. Git gets the URL without credentials, and a credential helper that reads them from the environment.
 * @see https://git-scm.com/docs/gitcredentials
 */
import { percentDecoded } from '../../text/percent-decoding.ts'
import { credentialsOf, splitCredentials } from '../../text/scrub.ts'

/** Arguments and variables with which git reaches the remote. */
export interface GitRemote {
  /** Argument without secrets. */
  readonly url: string
  /** Options before the command, without secrets. */
  readonly options: readonly string[]
  /** Secret variables to add to the environment. */
  readonly environment: Readonly<Record<string, string>>
}

const nameVariable = 'SLIPWAY_GIT_USERNAME'
const passwordVariable = 'SLIPWAY_GIT_PASSWORD'

/** Git calls the helper with `get`, `store` or `erase`. The helper answers only `get`. */
const helper = `!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$${nameVariable}" "$${passwordVariable}"; }; f`

/** Returns an http(s) URL without its credentials, and any other URL unchanged. */
export function withoutCredentials(url: string): string {
  return split(url).url
}

/** @param withCredentials URL as git takes it; user name and password may be percent-encoded */
export function gitRemote(withCredentials: string): GitRemote {
  const { url, credentials } = split(withCredentials)
  if (credentials === '') return { url, options: [], environment: {} }
  const [name, password] = splitCredentials(credentials)
  const environment = {
    [nameVariable]: plain(name),
    [passwordVariable]: plain(password ?? ''),
  }
  // The helper answers for this server only, not for one that it redirects to.
  const server = /^https?:\/\/[^/?#]*/i.exec(url)?.[0]
  const helperOption = ['-c', `credential.${server}.helper=${helper}`]
  const before =
    password === undefined
      ? // A token, or a user name whose password the user's own helpers know. Git tries these first.
        [`--config-env=credential.${server}.username=${nameVariable}`]
      : // The empty value removes the user's own helpers. With proactiveAuth (git 2.46) the first request
        // carries the credentials, so that a .netrc entry of another user is not tried.
        ['-c', `http.${server}.proactiveAuth=basic`, '-c', `credential.${server}.helper=`]
  return { url, options: [...before, ...helperOption], environment }
}

function split(url: string): { url: string; credentials: string } {
  const scheme = /^https?:\/\//i.exec(url)?.[0]
  const credentials = scheme === undefined ? '' : credentialsOf(url)
  if (scheme === undefined || credentials === '') return { url, credentials: '' }
  return { url: scheme + url.slice(scheme.length + credentials.length + 1), credentials }
}

/** Returns the percent-decoded text. If a helper could not print it on one line, returns the text unchanged. */
function plain(text: string): string {
  const value = percentDecoded(text)
  return /[\0\r\n]/.test(value) ? text : value
}
