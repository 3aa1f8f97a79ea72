/**
 * Keeps the credentials of an http(s) URL out of the arguments of git, which every user of the machine
 * can read: git gets the URL without them, and asks a credential helper, which finds them in the
 * environment of that one git.
 * @see https://git-scm.com/docs/gitcredentials
 */
import { percentDecoded } from '../../text/percent-decoding.ts'
import { credentialsOf, namedParts } from '../../text/scrub.ts'

/** How git is to be started so that it reaches the remote. */
export interface GitRemote {
  /** For the arguments: free of secrets. */
  readonly url: string
  /** Options before the command: free of secrets. */
  readonly options: readonly string[]
  /** What the command's environment must hold besides: secret. */
  readonly environment: Readonly<Record<string, string>>
}

const nameVariable = 'SLIPWAY_GIT_USERNAME'
const passwordVariable = 'SLIPWAY_GIT_PASSWORD'

/** Git runs it with `get`, `store` or `erase`; nothing is ever stored. */
const helper = `!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$${nameVariable}" "$${passwordVariable}"; }; f`

/** The URL as git may be told it where others can see; other URLs than http(s) stay as they are. */
export function withoutCredentials(url: string): string {
  return split(url).url
}

/** The remote at a URL that git takes; user name and password in it may be percent-encoded. */
export function gitRemote(withCredentials: string): GitRemote {
  const { url, credentials } = split(withCredentials)
  if (credentials === '') return { url, options: [], environment: {} }
  const [name, password] = namedParts(credentials)
  const environment = {
    [nameVariable]: plain(name),
    [passwordVariable]: plain(password ?? ''),
  }
  // Of this server alone: one that it redirects to must not be given them.
  const server = /^https?:\/\/[^/?#]*/i.exec(url)?.[0]
  const ours = ['-c', `credential.${server}.helper=${helper}`]
  const before =
    password === undefined
      ? // Either a token, or a user whose password the user's own helpers know: they are asked first.
        [`--config-env=credential.${server}.username=${nameVariable}`]
      : // An empty value drops the user's own helpers. Newer versions of git can also spare the request
        // that the server refuses first, and with it a .netrc of another user.
        ['-c', `http.${server}.proactiveAuth=basic`, '-c', `credential.${server}.helper=`]
  return { url, options: [...before, ...ours], environment }
}

function split(url: string): { url: string; credentials: string } {
  const scheme = /^https?:\/\//i.exec(url)?.[0]
  const credentials = scheme === undefined ? '' : credentialsOf(url)
  if (scheme === undefined || credentials === '') return { url, credentials: '' }
  return { url: scheme + url.slice(scheme.length + credentials.length + 1), credentials }
}

/** Decoded, unless no helper could tell git of it. */
function plain(text: string): string {
  const value = percentDecoded(text)
  return /[\0\r\n]/.test(value) ? text : value
}
