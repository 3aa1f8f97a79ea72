/** Environment variables of Nix processes: what Nix, git and ssh need, and no secret of the service. */
import { join } from 'node:path'

const passedOn = [
  'HOME',
  'PATH',
  'TMPDIR',
  'USER',
  // Folders of Nix's configuration and caches, if they are not at the default place.
  'XDG_CONFIG_HOME',
  'XDG_CACHE_HOME',
  // For package sets that fetch private repositories during evaluation.
  'SSH_AUTH_SOCK',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_SSL_CAINFO',
  'SSL_CERT_FILE',
]

/** Proxies, which a Nix without a daemon needs. A URL with `@` may hold a password, and is not passed on. */
const proxy = /^(https?|ftp|all|no)_proxy$/i

/** Settings of Slipway, inherited from Nixery, whose names look like settings of Nix. */
const notOfNix = new Set(['NIX_TIMEOUT', 'NIX_POPULARITY_URL'])

/** Returns the environment of every Nix process. */
export function nixEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const names = Object.keys(from).filter(
    (name) =>
      passedOn.includes(name) ||
      (name.startsWith('NIX_') && !notOfNix.has(name)) ||
      (proxy.test(name) && !from[name]?.includes('@')),
  )
  return {
    ...Object.fromEntries(names.map((name) => [name, from[name] ?? ''])),
    // There is no terminal for a password prompt. Messages are parsed, so they have one language and no colours.
    GIT_TERMINAL_PROMPT: '0',
    NO_COLOR: '1',
    LC_ALL: 'C',
  }
}

/**
 * Returns the environment of evaluations, in which the home folder is empty. Package sets such as nixpkgs read
 * configuration and overlays from the home folder, and two instances would then make different images of one
 * commit. Files of the real home that Nix and git need are named by variables; ssh does not use HOME.
 * @param emptyHome an empty folder
 */
export function evaluationEnvironment(
  { XDG_CONFIG_HOME, ...environment }: Record<string, string>,
  emptyHome: string,
): Record<string, string> {
  const { HOME } = environment
  if (HOME === undefined) return { ...environment, HOME: emptyHome }
  return {
    NIX_USER_CONF_FILES: join(XDG_CONFIG_HOME ?? join(HOME, '.config'), 'nix/nix.conf'),
    GIT_CONFIG_GLOBAL: join(HOME, '.gitconfig'),
    XDG_CACHE_HOME: join(HOME, '.cache'),
    ...environment,
    HOME: emptyHome,
  }
}
