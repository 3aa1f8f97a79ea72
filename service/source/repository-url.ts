/**
 * When two URLs mean the same git repository:
 *
 *     https://ann:token@GitHub.com:443/acme/packages.git/   github.com/acme/packages
 *     git@github.com:acme/packages.git                      github.com/acme/packages
 *     ssh://git@git.example.com:2222/~ann/packages          git.example.com:2222/~ann/packages
 *     file:///srv/git/packages.git                          /srv/git/packages
 *
 * How a repository is reached (scheme, user, password) does not count, where it is does.
 * @see https://git-scm.com/docs/git-clone#_git_urls
 */

import { percentDecoded } from '../text/percent-decoding.ts'

const urlForm = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is
/** `[user@]host:path`; with a slash before the first colon it is a local path. */
const scpForm = /^(?:[^/:@]*@)?(\[[^\]/]*\]|[^/:[\]]+):(.*)$/s
const authorityForm = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s

/** What stands for the port that is not written. */
const defaultPorts = new Map([
  ['https', '443'],
  ['http', '80'],
  ['ssh', '22'],
  ['git+ssh', '22'],
  ['ssh+git', '22'],
  ['git', '9418'],
])

/**
 * `host[:port]/path` of a remote repository, the path of a local one (beginning with `/` or `.`). Holds
 * neither user nor password nor query. The path keeps its case, so that it reads as it was written.
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
 * Whether both mean one repository. Of a remote one the case of the path does not count either: the
 * services that name a repository in a webhook (GitHub, GitLab, Gitea, Forgejo) find it in any case, so
 * that the tracked URL may be written otherwise than the payload's. Taking two for one on a server that
 * tells them apart costs a fetch that brings nothing.
 */
export function sameRepository(a: string, b: string): boolean {
  const [first, second] = [normaliseRepositoryUrl(a), normaliseRepositoryUrl(b)]
  return first === second || (isRemote(first) && first.toLowerCase() === second.toLowerCase())
}

/** No host begins like a path. */
function isRemote(normalised: string): boolean {
  return /^[^/.]/.test(normalised)
}

/** Authority without credentials, and path: what stands behind `scheme://`. */
function splitUrl(url: string, rest: string): [authority: string, path: string] {
  // A raw password may hold `/`, which makes the URL invalid: then it ends at the last `@` of all.
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

/** Git itself tries a path with `.git` and `/.git` behind it. */
function trimmed(path: string): string {
  return path
    .replaceAll(/\/{2,}/g, '/')
    .replace(/^\//, '')
    .replace(/\/$/, '')
    .replace(/(?<=[^/])\/?\.git$/, '')
}
