/**
 * Compares URLs of git repositories by their normal form:
 *
 *     https://ann:token@GitHub.com:443/acme/packages.git/   github.com/acme/packages
 *     git@github.com:acme/packages.git                      github.com/acme/packages
 *     ssh://git@git.example.com:2222/~ann/packages          git.example.com:2222/~ann/packages
 *     file:///srv/git/packages.git                          /srv/git/packages
 *
 * The normal form keeps where a repository is (host, port, path), and not how it is reached (scheme, user,
 * password).
 * @see https://git-scm.com/docs/git-clone#_git_urls
 */

import { percentDecoded } from '../text/percent-decoding.ts'

const urlForm = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is
/** `[user@]host:path`; a text with a slash before the first colon is a local path. */
const scpForm = /^(?:[^/:@]*@)?(\[[^\]/]*\]|[^/:[\]]+):(.*)$/s
const authorityForm = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s

/** Ports that the normal form leaves out. */
const defaultPorts = new Map([
  ['https', '443'],
  ['http', '80'],
  ['ssh', '22'],
  ['git+ssh', '22'],
  ['ssh+git', '22'],
  ['git', '9418'],
])

/**
 * Returns `host[:port]/path` for a remote repository, and the path for a local one (it begins with `/` or
 * `.`). The result contains no user, password or query. The path keeps its case, for messages.
 */
export function normaliseRepositoryUrl(url: string): string {
  const written = url.trim()
  const [, scheme, rest = ''] = urlForm.exec(written) ?? []
  if (scheme === undefined) {
    const [, host, path = ''] = scpForm.exec(written) ?? []
    return host === undefined ? localForm(written) : remoteForm(host, path)
  }
  const [authority, path] = splitUrl(written, rest)
  const [, host = '', port = ''] = authorityForm.exec(authority) ?? []
  if (scheme.toLowerCase() === 'file' && /^(?:localhost)?$/i.test(host)) return localForm(path)
  const usual = port === '' || port === defaultPorts.get(scheme.toLowerCase())
  return remoteForm(usual ? host : `${host}:${port}`, path)
}

/**
 * Returns whether two URLs mean the same repository. For remote ones the case of the path is ignored: GitHub,
 * GitLab, Gitea and Forgejo ignore it, so the tracked URL may differ in case from the URL in their webhooks.
 * On a server where case matters, a webhook for the wrong repository only costs an unnecessary fetch.
 */
export function isSameRepository(a: string, b: string): boolean {
  const [first, second] = [normaliseRepositoryUrl(a), normaliseRepositoryUrl(b)]
  return first === second || (isRemote(first) && first.toLowerCase() === second.toLowerCase())
}

/** Relies on host names not beginning with `/` or `.`, as local paths do. */
function isRemote(normalised: string): boolean {
  return /^[^/.]/.test(normalised)
}

/**
 * Returns the authority without credentials, and the path.
 * @param rest what follows `scheme://` in the URL
 */
function splitUrl(url: string, rest: string): [authority: string, path: string] {
  // An unescaped `/` in a password makes the URL invalid; the password then ends at the last `@`.
  const end = URL.canParse(url) ? rest.search(/[/?#]|$/) : rest.length
  const place = rest.slice(rest.slice(0, end).lastIndexOf('@') + 1)
  const [, authority = '', path = ''] = /^([^/?#]*)([^?#]*)/.exec(place) ?? []
  return [authority, percentDecoded(path)]
}

function remoteForm(host: string, path: string): string {
  return host === '' ? '' : `${host.toLowerCase()}/${trimmed(path)}`
}

function localForm(path: string): string {
  if (path === '') return ''
  const place = trimmed(path.replaceAll(/(?<=^|\/)\.(?:\/|$)/g, ''))
  if (path.startsWith('/')) return `/${place}`
  return place.startsWith('../') ? place : `./${place}`
}

/** Also removes `.git` and `/.git` from the end, because git itself tries a path with these suffixes. */
function trimmed(path: string): string {
  return path
    .replaceAll(/\/{2,}/g, '/')
    .replace(/^\//, '')
    .replace(/\/$/, '')
    .replace(/(?<=[^/])\/?\.git$/, '')
}
