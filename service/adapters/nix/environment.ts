/** What Nix processes see of the service's environment: its own settings, and no secrets. */
import { join } from 'node:path'

const wanted = [
  'HOME',
  'PATH',
  'TMPDIR',
  'USER',
  // Nix's own configuration and caches, where they are not at their default place.
  'XDG_CONFIG_HOME',
  'XDG_CACHE_HOME',
  // Package sets may fetch private repositories while they are evaluated.
  'SSH_AUTH_SOCK',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_SSL_CAINFO',
  'SSL_CERT_FILE',
]

/** Proxies, which a Nix without a daemon needs; one with a password in it is a secret. */
const proxy = /^(https?|ftp|all|no)_proxy$/i

/** Nixery's settings begin like Nix's own. */
const notNix = new Set(['NIX_TIMEOUT', 'NIX_POPULARITY_URL'])

/** The environment of every Nix process. */
export function nixEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const names = Object.keys(from).filter(
    (name) =>
      wanted.includes(name) ||
      (name.startsWith('NIX_') && !notNix.has(name)) ||
      (proxy.test(name) && !from[name]?.includes('@')),
  )
  return {
    ...Object.fromEntries(names.map((name) => [name, from[name] ?? ''])),
    // Nobody is there to type a password; messages are parsed and shown, so no colours, no translation.
    GIT_TERMINAL_PROMPT: '0',
    NO_COLOR: '1',
    LC_ALL: 'C',
  }
}

/**
 * The environment of evaluations. Package sets such as nixpkgs read the home folder's configuration
 * and overlays, and two instances would then make different images of one commit: so there is none. What
 * Nix and git need of the real home is named one by one; ssh does not go by HOME.
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
